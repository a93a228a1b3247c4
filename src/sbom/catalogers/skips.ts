import type { GapCause } from '../gaps.js';
import { Unreadable } from './binary.js';
import type { Gap } from './cataloger.js';

/** Entries of one database that may be skipped, before it is given up: each costs microseconds. */
const MOST_SKIPPED = 100_000;

/** Counts what a reader skips, so that each reason is one gap, however often it occurs. */
export class Skips {
  readonly #counts = new Map<string, { cause: GapCause; count: number }>();
  readonly #notes: Gap[] = [];

  /** @param what in the plural, for people: `entries without name or version` */
  add(what: string, cause: GapCause = 'entry-skipped', count = 1): void {
    const seen = this.#counts.get(what);
    if (seen === undefined) this.#counts.set(what, { cause, count });
    else seen.count += count;
  }

  /** Like `add`, but gives a hostile database up. @throws Unreadable after 100,000 calls for one reason */
  addOrStop(what: string, cause?: GapCause): void {
    this.add(what, cause);
    if ((this.#counts.get(what)?.count ?? 0) > MOST_SKIPPED) throw new Unreadable('most of it cannot be read');
  }

  /** What makes the file as a whole a gap: `it is encrypted`. */
  note(detail: string): void {
    this.#notes.push({ cause: 'database-unreadable', detail });
  }

  /** For a {@link Reading}: empty if nothing was skipped. */
  get gaps(): { gaps?: Gap[] } {
    const counted = [...this.#counts].map(([what, { cause, count }]) => ({ cause, detail: `${count} ${what}` }));
    return counted.length + this.#notes.length === 0 ? {} : { gaps: [...counted, ...this.#notes] };
  }
}
