import type { OrchestrationContext, Task } from 'durable-functions';
import { z } from 'zod';
import { runJob } from '../../operations/run-job.js';
import { promote } from '../../promotions/promote.js';
import { JOB_MS } from '../../rows/job-instance.js';
import { deadlineOf, driveDurably } from '../durable-driver.js';

/** How long a promotion's run waits for trouble if its input does not say, in milliseconds. */
const DEADLINE_MS = 24 * 3_600_000;

const runKeySchema = z.object({ promotionId: z.string(), runId: z.string() });
const runSchema = z.object({ runId: z.string() });

/** A promotion's run as an orchestration. Its input: the two ids, and the rule's deadline in milliseconds. */
export function* promoteDurably(context: OrchestrationContext): Generator<Task, unknown, unknown> {
  const key = runKeySchema.parse(context.df.getInput());
  return yield* driveDurably(context, promote(key), deadlineOf(context, DEADLINE_MS));
}

/** A job's run as an orchestration. */
export function* runJobDurably(context: OrchestrationContext): Generator<Task, unknown, unknown> {
  const run = runSchema.parse(context.df.getInput());
  return yield* driveDurably(context, runJob(run), deadlineOf(context, JOB_MS));
}
