import type { SbomLimits } from './limits.js';

/** What is known of gaps so far. */
export interface GapsState {
  named: string[];
  unread: [string, { example: string; count: number }][];
  more: number;
}

/** What was seen and could not be read, once each, in an order that doesn't depend on the archive's. */
export class Gaps {
  readonly #limits: SbomLimits;
  readonly #named: Set<string>;
  /** Ecosystem without reader: the place that is shown, and how many there are. */
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
    const more = this.#more > 0 ? [`${this.#more} more that are not named here`] : [];
    return [
      ...[...this.#unread.keys()].sort().map((name) => `no reader for ${name}`),
      ...[...this.#named].sort(),
      ...more,
    ];
  }

  /** Where the databases without reader were seen: `rpm: var/lib/rpm/rpmdb.sqlite and 2 more`. */
  listUnread(): string[] {
    return [...this.#unread]
      .map(([name, { example, count }]) => `${name}: ${example}${count > 1 ? ` and ${count - 1} more` : ''}`)
      .sort();
  }
}
