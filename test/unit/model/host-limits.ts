import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

/** What the model takes from host.json. */
const hostSchema = z.object({
  functionTimeout: z.string(),
  extensions: z.object({
    queues: z.object({ visibilityTimeout: z.string(), batchSize: z.number(), newBatchThreshold: z.number() }),
    durableTask: z.object({
      maxConcurrentActivityFunctions: z.number(),
      maxConcurrentOrchestratorFunctions: z.number(),
    }),
  }),
});
const text = readFileSync(fileURLToPath(new URL('../../../host.json', import.meta.url)), 'utf8');
const host = hostSchema.parse(JSON.parse(text));
const { queues, durableTask } = host.extensions;

/** `hh:mm:ss` in milliseconds. */
function durationMs(duration: string): number {
  const [hours = 0, minutes = 0, seconds = 0] = duration.split(':').map(Number);
  return ((hours * 60 + minutes) * 60 + seconds) * 1000;
}

export const HOST = {
  /** An invocation that hangs is ended after so long. */
  functionTimeoutMs: durationMs(host.functionTimeout),
  /** Activities, turns, and messages that a host works at, at once; those that hang are counted. */
  activities: durableTask.maxConcurrentActivityFunctions,
  turns: durableTask.maxConcurrentOrchestratorFunctions,
  messages: queues.batchSize + queues.newBatchThreshold,
  /** A message that failed can be seen again after so long. */
  visibilityTimeoutMs: durationMs(queues.visibilityTimeout),
} as const;
