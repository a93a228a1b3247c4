import type { OrchestrationContext, Task } from 'durable-functions';
import { z } from 'zod';
import { runJob } from '../../operations/run-job.js';
import { promote } from '../../promotions/promote.js';
import { deadlineOf, driveDurably } from '../durable-driver.js';

/** How long trouble is waited for if the input does not say, and by a job, in milliseconds. */
const DAY_MS = 24 * 3_600_000;

const ownerSchema = z.object({ promotionId: z.string(), runId: z.string() });
const runSchema = z.object({ runId: z.string() });

/** A promotion's run as an orchestration. Its input: the two ids, and the rule's deadline in milliseconds. */
export function* promoteDurably(context: OrchestrationContext): Generator<Task, unknown, unknown> {
  const owner = ownerSchema.parse(context.df.getInput());
  return yield* driveDurably(context, promote(owner), deadlineOf(context, DAY_MS));
}

/** A job's run as an orchestration. */
export function* runJobDurably(context: OrchestrationContext): Generator<Task, unknown, unknown> {
  const run = runSchema.parse(context.df.getInput());
  return yield* driveDurably(context, runJob(run), deadlineOf(context, DAY_MS));
}
