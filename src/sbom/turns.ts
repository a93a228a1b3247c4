import { setImmediate } from 'node:timers/promises';

/** How long cataloguing holds the event loop before it lets others have a turn, in milliseconds. */
const TURN_MS = 20;
/** Items of quick work between two looks at the clock. */
export const ITEMS_PER_LOOK = 500;

/**
 * Divides long work, so that health answers and lease renewals go on while an image is catalogued. The longest turn is `TURN_MS`
 * and one piece of work: the JSON of one manifest (1 MiB at most) is the largest.
 */
export class Turns {
  #startedMs = performance.now();

  /** True once this turn has lasted its time. */
  get isOver(): boolean {
    return performance.now() - this.#startedMs >= TURN_MS;
  }

  /** Lets others have a turn, if this one is over. To be called after each piece of work. */
  async rest(): Promise<void> {
    if (!this.isOver) return;
    await setImmediate();
    this.#startedMs = performance.now();
  }
}

/** The items in order, by a merge sort that rests: the built-in sort cannot. Stable. */
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
