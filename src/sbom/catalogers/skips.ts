import type { GapCause } from '../gaps.js';
import type { Gap } from './cataloger.js';

/** Counts what a reader skips, so that each reason is one gap, however often it occurs. */
export class Skips {
  readonly #counts = new Map<string, { cause: GapCause; count: number }>();

  /** @param what in the plural, for people: `entries without name or version` */
  add(what: string, cause: GapCause = 'entry-skipped', count = 1): void {
    const seen = this.#counts.get(what);
    if (seen === undefined) this.#counts.set(what, { cause, count });
    else seen.count += count;
  }

  /** For a {@link Reading}: empty if nothing was skipped. */
  get gaps(): { gaps?: Gap[] } {
    if (this.#counts.size === 0) return {};
    return { gaps: [...this.#counts].map(([what, { cause, count }]) => ({ cause, detail: `${count} ${what}` })) };
  }
}
