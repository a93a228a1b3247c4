import { setImmediate } from 'node:timers/promises';

/** Milliseconds that cataloguing may block the event loop. */
const TURN_MS = 20;
/** Items that are processed between two checks of the clock. */
export const ITEMS_PER_LOOK = 500;

/**
 * Divides long work into turns, so that health checks and lease renewals continue while an image is catalogued. The
 * longest turn is `TURN_MS` plus one piece of work; the largest piece is parsing the JSON of one manifest (at most 1
 * MiB).
 */
export class Turns {
  #startedMs = performance.now();

  /** True if this turn has used its time. */
  get isOver(): boolean {
    return performance.now() - this.#startedMs >= TURN_MS;
  }

  /** Yields to the event loop if this turn is over. Call it after each piece of work. */
  async rest(): Promise<void> {
    if (!this.isOver) return;
    await setImmediate();
    this.#startedMs = performance.now();
  }
}

/** Sorts items with a stable merge sort that yields to the event loop, which the built-in sort cannot. */
export async function sortInTurns<T>(
  items: readonly T[],
  compare: (one: T, other: T) => number,
  turns: Turns,
): Promise<T[]> {
  let runs: T[][] = [];
  for (let from = 0; from < items.length; from += ITEMS_PER_LOOK) {
    runs.push(items.slice(from, from + ITEMS_PER_LOOK).sort(compare));
    await turns.rest();
  }
  while (runs.length > 1) {
    const merged: T[][] = [];
    for (let at = 0; at < runs.length; at += 2)
      merged.push(await merge(runs[at] ?? [], runs[at + 1] ?? [], compare, turns));
    runs = merged;
  }
  return runs[0] ?? [];
}

async function merge<T>(
  left: readonly T[],
  right: readonly T[],
  compare: (one: T, other: T) => number,
  turns: Turns,
): Promise<T[]> {
  const merged: T[] = [];
  let [fromLeft, fromRight] = [0, 0];
  while (fromLeft < left.length || fromRight < right.length) {
    const takesLeft =
      fromRight === right.length ||
      (fromLeft < left.length && compare(left[fromLeft] as T, right[fromRight] as T) <= 0);
    merged.push((takesLeft ? left[fromLeft++] : right[fromRight++]) as T);
    if (merged.length % ITEMS_PER_LOOK === 0) await turns.rest();
  }
  return merged;
}
