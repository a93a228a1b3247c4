import type { Everything } from '../../support/stack/everything.js';

/** mulberry32: small, and the same numbers for the same seed. */
export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** When to kill: as soon as a step is seen at work or done, or so long after the push. */
export type Moment = { step: string } | { afterMs: number };

interface Progress {
  steps: { step: string; state: string }[];
  runOpen: boolean;
}

/** Waits for the moment. @returns the step that was seen last, and whether the promotion was still under way */
export async function waitForMoment(
  up: Everything,
  repository: string,
  moment: Moment,
): Promise<{ last: string; underWay: boolean }> {
  if ('afterMs' in moment) await pause(moment.afterMs);
  for (const until = Date.now() + 30_000; ;) {
    const row = await up.promotion(repository, 'v1');
    const progress = row && (await progressOf(up, row.id));
    const last = progress?.steps.at(-1);
    const underWay = row === undefined || row.runOpen;
    const reached = 'afterMs' in moment || progress?.steps.some(({ step }) => step.split(' ')[0] === moment.step);
    if (reached === true || Date.now() > until) {
      return { last: last === undefined ? 'nothing yet' : `${last.step} ${last.state}`, underWay };
    }
    await pause(10);
  }
}

async function progressOf(up: Everything, id: string): Promise<Progress | undefined> {
  try {
    const answer = await fetch(`${up.hostUrl}/api/promotions/${id}`);
    return (await answer.json()) as Progress;
  } catch {
    return undefined;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
