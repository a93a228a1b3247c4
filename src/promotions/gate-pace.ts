/** Looks at a closed gate that are made as soon as somebody asks. */
const FREE_LOOKS = 5;
/** The pause before the next, in milliseconds, by how much it grows each time, and how long it gets. */
const FIRST_MS = 2_000;
const GROWTH = 1.25;
const MOST_MS = 120_000;

/**
 * For how long a run keeps from looking again, in milliseconds: the more it has looked, the rarer, however much is pushed. What is
 * saved in a quiet time may be spent later. An hour holds about fifty looks, which is what keeps its history small.
 * @param looks so far @param spentMs since the first
 */
export function pauseBeforeNext(looks: number, spentMs: number): number {
  let earliestMs = 0;
  for (let paced = 0; paced <= looks - FREE_LOOKS; paced += 1) earliestMs += paceMs(paced);
  return Math.max(0, Math.min(earliestMs - spentMs, MOST_MS));
}

function paceMs(paced: number): number {
  return Math.min(Math.round(FIRST_MS * GROWTH ** paced), MOST_MS);
}
