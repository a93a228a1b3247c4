import { z } from 'zod';
import { ruleSchema } from '../rules/rule.js';

// Rows are parsed when they are read, since an older or a newer version of the app may have written them. Unknown
// fields are dropped. A field that is added later must be optional or have a default.

export const OUTCOMES = [
  'promoted',
  'completed',
  'unchanged',
  'observed',
  'superseded',
  'refused',
  'failed',
  'cancelled',
  'interrupted',
] as const;

export type Outcome = (typeof OUTCOMES)[number];

const TRIGGER_KINDS = [
  'push',
  'referrer',
  'deletion',
  'schedule',
  'job',
  'queue',
  'http',
  'retry',
  'follow-up',
] as const;

export const sourceTagSchema = z.object({
  registry: z.string(),
  repository: z.string(),
  tag: z.string(),
});
export type SourceTag = z.infer<typeof sourceTagSchema>;

export const runResultSchema = z.object({
  outcome: z.enum(OUTCOMES),
  /** If the run was refused or failed: the code, message and remedy of the error. */
  code: z.string().optional(),
  reason: z.string().optional(),
  remedy: z.string().optional(),
  /** If evidence was missing: a hash of the signatures that the image had at that time. */
  evidence: z.string().optional(),
  /** The digest that the run saw under the tag. */
  digest: z.string().optional(),
});
/**
 * The outcome of a run and its reason. `interrupted` means that its orchestration is gone or ended without closing the
 * run. It is not a failure: no result event is sent, and the next run starts at once.
 */
export type RunResult = z.infer<typeof runResultSchema>;

export const triggerCauseSchema = z.object({
  /**
   * - `push`, `referrer` (evidence was attached), `deletion`: an event of a registry.
   * - `schedule`: the schedule found a difference.
   * - `job`: a `promote` job. `queue`, `http`: a person or a program asked through the queue or HTTP.
   * - `retry`: the run before was interrupted.
   * - `follow-up`: a trigger came while the run before was open, or the tag moved.
   */
  kind: z.enum(TRIGGER_KINDS),
  /** The id of the event, message or job. For `retry` and `follow-up`: the run before. */
  id: z.string().optional(),
  /** The reason that the requester gave. */
  reason: z.string().optional(),
  at: z.string(),
});
/** The cause of a trigger. */
export type TriggerCause = z.infer<typeof triggerCauseSchema>;

export const triggerSchema = triggerCauseSchema.extend({
  /** For a `follow-up`: the last trigger that the run before coalesced. */
  coalesced: triggerCauseSchema.optional(),
});
/** The trigger that opened a run. */
export type Trigger = z.infer<typeof triggerSchema>;

const acceptedJobSchema = z.looseObject({ id: z.string(), operation: z.string() });
/** A job as it was accepted, with defaults. operations/job-schema.ts parses this JSON again. */
export type AcceptedJob = z.infer<typeof acceptedJobSchema>;

const runInputSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('promotion'),
    runId: z.string(),
    promotionId: z.string(),
    rule: ruleSchema,
    source: sourceTagSchema,
    destination: z.string(),
  }),
  z.object({
    kind: z.literal('job'),
    runId: z.string(),
    job: acceptedJobSchema,
  }),
]);
export type RunInput = z.infer<typeof runInputSchema>;

const runOutputSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('inline'), value: z.unknown() }),
  z.object({ kind: z.literal('document'), name: z.string(), sizeBytes: z.number() }),
]);
/** The output of a job: inline, or as a document if it is too large for a row. */
export type RunOutput = z.infer<typeof runOutputSchema>;

const cancellationSchema = z.object({
  at: z.string(),
  /** The name that the requester gave. */
  by: z.string(),
  reason: z.string().optional(),
  /** The promotion's `generation` at the time of the request. The stopped run answers all triggers up to it. */
  generation: z.number().optional(),
});
/** A request to stop a run: who, when and why. */
export type Cancellation = z.infer<typeof cancellationSchema>;

export const runRowSchema = z.object({
  id: z.string(),
  input: runInputSchema,
  state: z.enum(['pending', 'running', 'ended']),
  openedAt: z.string(),
  trigger: triggerSchema.optional(),
  /** Only promotions: the generation that the run answers, set when it begins. */
  generation: z.number().optional(),
  /** The digest of the source, set when the run has read it. */
  digest: z.string().optional(),
  /** When an orphaned job was started again. */
  startedAgainAt: z.string().optional(),
  /** When its result event was sent. */
  eventSentAt: z.string().optional(),
  /** Set once and never removed. The run ends as soon as it sees it. */
  cancel: cancellationSchema.optional(),
  finishedAt: z.string().optional(),
  result: runResultSchema.optional(),
  /** The output of a job's operation. */
  output: runOutputSchema.optional(),
});
/** One run of a promotion, or one job. */
export type RunRow = z.infer<typeof runRowSchema>;

export const runSummarySchema = runRowSchema
  .omit({ input: true, generation: true, cancel: true, output: true })
  .extend({
    kind: z.enum(['promotion', 'job']),
    /** Only promotions. */
    promotionId: z.string().optional(),
    rule: z.string().optional(),
    /** Only jobs. */
    jobId: z.string().optional(),
    operation: z.string().optional(),
    /** Absent if a job has no repository. */
    source: z.object({ registry: z.string(), repository: z.string(), tag: z.string().optional() }).optional(),
    destination: z.string().optional(),
  });
/** A run in a list, without its rule and output. */
export type RunSummary = z.infer<typeof runSummarySchema>;
