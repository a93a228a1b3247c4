import { z } from 'zod';
import { storedJobSchema } from '../inbox/job-input.js';
import { ruleSchema } from '../promotion/rule.js';
import { OUTCOMES } from './rows.js';
import type {
  DestinationOwner,
  IgnoredEvent,
  PromotionRow,
  RunInput,
  RunOutput,
  RunRow,
  StepProgress,
} from './rows.js';

/**
 * The rows of rows.ts as they come out of a store: a boundary, since an older or a newer version may have written them. Unknown
 * fields are dropped; a field that is added later needs a default or must be optional.
 */
const sourceTagSchema = z.object({ registry: z.string(), repository: z.string(), tag: z.string() });

const runResultSchema = z.object({
  outcome: z.enum(OUTCOMES),
  code: z.string().exactOptional(),
  reason: z.string().exactOptional(),
  remedy: z.string().exactOptional(),
  evidence: z.string().exactOptional(),
  digest: z.string().exactOptional(),
});

export const promotionRowSchema: z.ZodType<PromotionRow> = z.object({
  id: z.string(),
  rule: z.string(),
  source: sourceTagSchema,
  destination: z.string(),
  wanted: z.number(),
  wantedAt: z.string(),
  answered: z.number(),
  state: z.enum(['working', 'waiting', 'in_sync', 'observed', 'refused', 'failed', 'cancelled']),
  runId: z.string().exactOptional(),
  runOpen: z.boolean(),
  runOpenedAt: z.string().exactOptional(),
  runBegun: z.boolean(),
  previousRunId: z.string().exactOptional(),
  waitingFor: z.string().exactOptional(),
  last: runResultSchema.extend({ runId: z.string(), finishedAt: z.string(), ruleHash: z.string() }).exactOptional(),
  failures: z.number(),
});

const runInputSchema: z.ZodType<RunInput> = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('promotion'),
    runId: z.string(),
    promotionId: z.string(),
    rule: ruleSchema,
    source: sourceTagSchema,
    destination: z.string(),
  }),
  z.object({ kind: z.literal('job'), runId: z.string(), job: storedJobSchema }),
]);

const runOutputSchema: z.ZodType<RunOutput> = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('inline'), value: z.unknown() }),
  z.object({ kind: z.literal('document'), name: z.string(), sizeBytes: z.number() }),
]);

export const runRowSchema: z.ZodType<RunRow> = z.object({
  id: z.string(),
  input: runInputSchema,
  state: z.enum(['pending', 'running', 'ended']),
  openedAt: z.string(),
  sentAgainAt: z.string().exactOptional(),
  finishedAt: z.string().exactOptional(),
  result: runResultSchema.exactOptional(),
  output: runOutputSchema.exactOptional(),
});

export const stepProgressSchema: z.ZodType<StepProgress> = z.object({
  runId: z.string(),
  step: z.string(),
  state: z.enum(['working', 'done', 'waiting', 'failed']),
  text: z.string(),
  startedAt: z.string(),
  updatedAt: z.string(),
  doneBytes: z.number().exactOptional(),
  totalBytes: z.number().exactOptional(),
});

export const destinationOwnerSchema: z.ZodType<DestinationOwner> = z.object({
  rule: z.string(),
  promotionId: z.string(),
  source: z.string(),
});

export const ignoredEventSchema: z.ZodType<IgnoredEvent> = z.object({
  at: z.string(),
  reference: z.string(),
  reason: z.string(),
});
