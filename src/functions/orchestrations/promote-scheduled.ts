import type { OrchestrationContext, Task } from 'durable-functions';
import { walkScheduleContract } from '../../schedule/contracts.js';
import type { ResultOf } from '../../rows/step-contract.js';
import { step, waitingUntil } from './step.js';

/** Stretches of one walk: 60 of a minute each. What a tick has no time for the next one goes on with: the walk's note says where. */
const MOST_STRETCHES = 60;
/** How long a walk waits for trouble to pass, in milliseconds: the next tick looks again. */
const WALK_MS = 15 * 60_000;
/** Problems that the walk's output names. */
const MOST_PROBLEMS = 50;

/** One tick of the schedule: walks what the rules name, stretch by stretch, from where the one before has stopped, and starts what differs. */
export function* promoteScheduled(
  context: OrchestrationContext,
): Generator<Task, { started: number; looked: number; problems: string[] }, unknown> {
  const waiting = waitingUntil(context, context.df.currentUtcDateTime.getTime() + WALK_MS);
  let cursor: string | null = null;
  let started = 0;
  let looked = 0;
  const problems: string[] = [];
  for (let stretch = 0; stretch < MOST_STRETCHES; stretch += 1) {
    const walked: ResultOf<typeof walkScheduleContract> = yield* step(waiting, walkScheduleContract, {
      cursor,
      started,
    });
    started = walked.started;
    looked += walked.looked;
    problems.push(...walked.problems.slice(0, MOST_PROBLEMS - problems.length));
    cursor = walked.cursor;
    if (cursor === null) break;
  }
  return { started, looked, problems };
}
