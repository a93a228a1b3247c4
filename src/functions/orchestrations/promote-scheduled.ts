import type { OrchestrationContext, Task } from 'durable-functions';
import { call, type Order } from '../../promotions/effects.js';
import { walkScheduleContract } from '../../schedule/contracts.js';
import type { ResultOf } from '../../rows/step-contract.js';
import { deadlineOf, driveDurably } from '../durable-driver.js';

/** Parts of one walk: 60 of a minute each. What a tick has no time for the next one goes on with: the walk's note says where. */
const MOST_PARTS = 60;
/** How long a walk waits for trouble to pass, in milliseconds: the next tick looks again. */
const WALK_MS = 15 * 60_000;
/** Problems that the walk's output names. */
const MOST_PROBLEMS = 50;

interface Walked {
  started: number;
  looked: number;
  problems: string[];
}

/** One tick of the schedule as an orchestration. */
export function* promoteScheduled(context: OrchestrationContext): Generator<Task, Walked, unknown> {
  return yield* driveDurably(context, walkSchedule(), deadlineOf(context, WALK_MS));
}

/** Walks what the rules name, part by part, from where the tick before has stopped, and starts what differs. */
function* walkSchedule(): Order<Walked> {
  let cursor: string | null = null;
  const total: Walked = { started: 0, looked: 0, problems: [] };
  for (let part = 0; part < MOST_PARTS; part += 1) {
    const walked: ResultOf<typeof walkScheduleContract> = yield* call(walkScheduleContract, {
      cursor,
      started: total.started,
    });
    total.started = walked.started;
    total.looked += walked.looked;
    total.problems.push(...walked.problems.slice(0, MOST_PROBLEMS - total.problems.length));
    cursor = walked.cursor;
    if (cursor === null) break;
  }
  return total;
}
