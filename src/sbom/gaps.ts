import type { SbomLimits } from './limits.js';

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
