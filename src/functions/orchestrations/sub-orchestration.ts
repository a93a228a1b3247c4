import type { OrchestrationContext, Task } from 'durable-functions';
import { z } from 'zod';
import { ORCHESTRATION_VERSION } from '../../promotions/orchestration-version.js';
import { StepFailed, failedSchema, parsed, waitingUntil, type StepContext } from './step.js';

/** What every sub-orchestration is given beside its own. */
export const subInput = z.object({
  /** Until when its run waits for what may pass. */
  giveUpAtMs: z.number().optional(),
});

/** A failure is an answer too: what a sub-orchestration throws would reach its parent as a text. */
export type SubAnswer<T> = { done: T } | z.infer<typeof failedSchema>;

const answerSchema = z.union([failedSchema, z.object({ done: z.unknown() })]);

/**
 * Calls a sub-orchestration, which waits as long as its run does.
 * @param instanceId begins with the run's id, and is never used twice
 * @throws StepFailed with what it failed with
 */
export function* callSub<S extends z.ZodType>(
  context: StepContext,
  name: string,
  result: S,
  input: object,
  instanceId: string,
): Generator<Task, z.infer<S>, unknown> {
  const { df, giveUpAtMs } = context;
  const given = { ...input, version: ORCHESTRATION_VERSION, ...(giveUpAtMs !== undefined && { giveUpAtMs }) };
  const raw = yield df.callSubOrchestrator(name, given, instanceId);
  const answer = parsed(answerSchema, raw, name);
  if ('failed' in answer) throw new StepFailed(answer.failed);
  return parsed(result, answer.done, name);
}

/** Works as a sub-orchestration: answers what comes of it. */
export function* answered<T>(
  context: OrchestrationContext,
  { giveUpAtMs }: z.infer<typeof subInput>,
  work: (context: StepContext) => Generator<Task, T, unknown>,
): Generator<Task, SubAnswer<T>, unknown> {
  try {
    return { done: yield* work(giveUpAtMs === undefined ? context : waitingUntil(context, giveUpAtMs)) };
  } catch (error) {
    if (!(error instanceof StepFailed)) throw error;
    const { code, message, remedy, refused } = error;
    return { failed: { code, message, refused, ...(remedy !== undefined && { remedy }) } };
  }
}
