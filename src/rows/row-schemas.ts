import { z } from 'zod';
import { storedJobSchema } from '../operations/job-schema.js';
import { ruleSchema } from '../rules/rule.js';
import { OUTCOMES, PROMOTION_STATES, TRIGGER_KINDS } from './rows.js';
import type {
  DestinationOwner,
  IgnoredEvent,
  PromotionRow,
  RunInput,
  RunOutput,
  RunRow,
  RunSummary,
  Standing,
  StepProgress,
  Trigger,
  TriggerCause,
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

const causeSchema = z.object({ kind: z.enum(TRIGGER_KINDS), id: z.string().exactOptional(), at: z.string() });
const triggerCauseSchema: z.ZodType<TriggerCause> = causeSchema;
const triggerSchema: z.ZodType<Trigger> = causeSchema.extend({ absorbed: causeSchema.exactOptional() });

export const promotionRowSchema: z.ZodType<PromotionRow> = z.object({
  id: z.string(),
  rule: z.string(),
  source: sourceTagSchema,
  destination: z.string(),
  wanted: z.number(),
  wantedAt: z.string(),
  lastTrigger: triggerCauseSchema.exactOptional(),
  answered: z.number(),
  state: z.enum(PROMOTION_STATES),
  runId: z.string().exactOptional(),
  runOpen: z.boolean(),
  runOpenedAt: z.string().exactOptional(),
  runTrigger: triggerSchema.exactOptional(),
  absorbed: z.number().exactOptional(),
  runBegun: z.boolean(),
  previousRunId: z.string().exactOptional(),
  waitingFor: z.string().exactOptional(),
  since: z.string().exactOptional(),
  last: runResultSchema.extend({ runId: z.string(), finishedAt: z.string(), ruleHash: z.string() }).exactOptional(),
  gate: z.object({ digest: z.string(), policy: z.string() }).exactOptional(),
  failures: z.number(),
  superseded: z.object({ times: z.number(), wanted: z.number() }).exactOptional(),
  unconfirmed: z.string().exactOptional(),
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
  trigger: triggerSchema.exactOptional(),
  digest: z.string().exactOptional(),
  startedAgainAt: z.string().exactOptional(),
  toldAt: z.string().exactOptional(),
  cancel: z
    .object({
      at: z.string(),
      by: z.string(),
      reason: z.string().exactOptional(),
      wanted: z.number().exactOptional(),
    })
    .exactOptional(),
  finishedAt: z.string().exactOptional(),
  result: runResultSchema.exactOptional(),
  output: runOutputSchema.exactOptional(),
});

export const runSummarySchema: z.ZodType<RunSummary> = z.object({
  id: z.string(),
  kind: z.enum(['promotion', 'job']),
  state: z.enum(['pending', 'running', 'ended']),
  openedAt: z.string(),
  finishedAt: z.string().exactOptional(),
  startedAgainAt: z.string().exactOptional(),
  toldAt: z.string().exactOptional(),
  trigger: triggerSchema.exactOptional(),
  promotionId: z.string().exactOptional(),
  rule: z.string().exactOptional(),
  jobId: z.string().exactOptional(),
  operation: z.string().exactOptional(),
  source: z.object({ registry: z.string(), repository: z.string(), tag: z.string().exactOptional() }).exactOptional(),
  destination: z.string().exactOptional(),
  digest: z.string().exactOptional(),
  result: runResultSchema.exactOptional(),
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
  doneNodes: z.number().exactOptional(),
  totalNodes: z.number().exactOptional(),
  waitsFor: z.object({ code: z.string(), tries: z.number(), since: z.string(), nextAt: z.string() }).exactOptional(),
  wake: z.string().exactOptional(),
  waitsIn: z.string().exactOptional(),
});

/** Once it was the promotion's id alone. */
export const standingSchema: z.ZodType<Standing> = z.union([
  z.string().transform((promotionId) => ({ promotionId })),
  z.object({ promotionId: z.string(), root: z.string().exactOptional(), at: z.string().exactOptional() }),
]);

export const destinationOwnerSchema: z.ZodType<DestinationOwner> = z.object({
  rule: z.string(),
  promotionId: z.string(),
  source: z.string(),
});

export const ignoredEventSchema: z.ZodType<IgnoredEvent> = z.object({
  at: z.string(),
  times: z.number().exactOptional(),
  firstAt: z.string().exactOptional(),
  reference: z.string(),
  eventId: z.string().exactOptional(),
  reason: z.string(),
});
