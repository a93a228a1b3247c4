import { getOrMake } from '../oci/index.js';
import type { SbomLimits } from './limits.js';

/** Causes of gaps. Rules and documents use these names. */
export const GAP_CAUSES = [
  /** The layer is not in the registry (foreign layers). */
  'layer-elsewhere',
  /** The layer is encrypted, or its format cannot be read (Windows, nydus). */
  'layer-unreadable',
  /** Runtimes may read this archive in another way. */
  'archive-doubtful',
  /** A link to a wanted file leads nowhere, or was not followed. */
  'link-unresolved',
  'sparse-file',
  'file-too-large',
  'database-unreadable',
  /** Single entries of a database could not be read. */
  'entry-skipped',
  /** No cataloger reads this kind of package database. */
  'no-reader',
  'too-many-licences',
  /** ELF files, and PE files such as .NET assemblies, that belong to no listed package. */
  'unowned-binaries',
  /** Interpreters of scripts that belong to no listed package. */
  'unowned-interpreters',
] as const;

/** A name of {@link GAP_CAUSES}. */
export type GapCause = (typeof GAP_CAUSES)[number];

/** All gaps of one cause. */
export interface GapCount {
  cause: GapCause;
  count: number;
  /** The first ones, sorted: `npm: a package.json that is not JSON (node_modules/a/package.json)`. */
  examples: string[];
}

/** Gaps of one cause that a document names. Further ones are only counted. */
const MOST_EXAMPLES = 20;

/** The serializable state of the gaps. */
export type GapsState = [GapCause, { named: string[]; more: number }][];

/**
 * Content that was seen but could not be read, by cause. The same gap counts once, up to the limit `gaps` of each cause.
 */
export class Gaps {
  readonly #limit: number;
  readonly #byCause: Map<GapCause, { named: Set<string>; more: number }>;

  constructor({ gaps }: Pick<SbomLimits, 'gaps'>, state: GapsState = []) {
    this.#limit = gaps;
    this.#byCause = new Map(state.map(([cause, { named, more }]) => [cause, { named: new Set(named), more }]));
  }

  get state(): GapsState {
    return [...this.#byCause].map(([cause, { named, more }]) => [cause, { named: [...named], more }]);
  }

  /** @param text describes the gap for people, with its path */
  add(cause: GapCause, text: string): void {
    const gaps = getOrMake(this.#byCause, cause, () => ({ named: new Set<string>(), more: 0 }));
    if (gaps.named.has(text)) return;
    if (gaps.named.size < this.#limit) gaps.named.add(text);
    else gaps.more += 1;
  }

  /** The gaps of each cause, in the order of {@link GAP_CAUSES}. */
  list(): GapCount[] {
    return GAP_CAUSES.flatMap((cause) => {
      const gaps = this.#byCause.get(cause);
      if (gaps === undefined) return [];
      const { named, more } = gaps;
      return [{ cause, count: named.size + more, examples: [...named].sort().slice(0, MOST_EXAMPLES) }];
    });
  }
}
