import type { SbomLimits } from './limits.js';

/** What was seen and could not be read, once each, in an order that doesn't depend on the archive's. */
export class Gaps {
  readonly #limits: SbomLimits;
  readonly #named = new Set<string>();
  /** Ecosystem without reader: the place that is shown, and how many there are. */
  readonly #unread = new Map<string, { example: string; count: number }>();
  #more = 0;

  constructor(limits: SbomLimits) {
    this.#limits = limits;
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
