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
  /** ELF files that belong to no listed package. */
  'unowned-binaries',
  /** Interpreters of scripts that belong to no listed package. */
  'unowned-interpreters',
] as const;

/** A name of {@link GAP_CAUSES}. */
export type GapCause = (typeof GAP_CAUSES)[number];

/** The serializable state of the gaps. */
export interface GapsState {
  named: string[];
  unread: [string, { example: string; count: number }][];
  more: number;
}

/**
 * Content that was seen but could not be read. Each gap is named once, in an order that does not depend on the archive.
 */
export class Gaps {
  readonly #limits: SbomLimits;
  readonly #named: Set<string>;
  /** For each ecosystem without a cataloger: the path to show and the number of files. */
  readonly #unread: Map<string, { example: string; count: number }>;
  #more: number;

  constructor(limits: SbomLimits, { named, unread, more }: GapsState = { named: [], unread: [], more: 0 }) {
    this.#limits = limits;
    this.#named = new Set(named);
    this.#unread = new Map(unread);
    this.#more = more;
  }

  get state(): GapsState {
    return { named: [...this.#named], unread: [...this.#unread], more: this.#more };
  }

  add(gap: string): void {
    if (this.#named.has(gap)) return;
    if (this.#named.size < this.#limits.gaps) this.#named.add(gap);
    else this.#more += 1;
  }

  addUnread(ecosystem: string, path: string): void {
    const seen = this.#unread.get(ecosystem);
    if (seen === undefined) this.#unread.set(ecosystem, { example: path, count: 1 });
    else {
      seen.count += 1;
      if (path < seen.example) seen.example = path;
    }
  }

  list(): string[] {
    const more = this.#more > 0 ? [`${this.#more} more gaps`] : [];
    return [
      ...[...this.#unread.keys()].sort().map((name) => `no reader for ${name}`),
      ...[...this.#named].sort(),
      ...more,
    ];
  }

  /** Files of ecosystems without a cataloger: `rpm: var/lib/rpm/rpmdb.sqlite and 2 more`. */
  listUnread(): string[] {
    return [...this.#unread]
      .map(([name, { example, count }]) => `${name}: ${example}${count > 1 ? ` and ${count - 1} more` : ''}`)
      .sort();
  }
}
