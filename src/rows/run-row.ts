import { z } from 'zod';
import { ruleSchema } from '../rules/rule.js';

// Rows are parsed when they are read, since an older or a newer version of the app may have written them. Unknown fields are dropped. A
// field that is added later must be optional or have a default.

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
  /** Where the outcome is refused or failed: the error's code, message and remedy. */
  code: z.string().exactOptional(),
  reason: z.string().exactOptional(),
  remedy: z.string().exactOptional(),
  /** Where evidence was missing: a hash of the signatures that the image had then. */
  evidence: z.string().exactOptional(),
  /** The tag's digest that the run saw. */
  digest: z.string().exactOptional(),
});
/**
 * How a run ended, and why. `interrupted`: its orchestration is gone, or ended without closing: no failure, nobody is told, and the next
 * run starts at once.
 */
export type RunResult = z.infer<typeof runResultSchema>;

export const triggerCauseSchema = z.object({
  /**
   * - `push`, `referrer` (evidence was attached), `deletion`: an event of a registry.
   * - `schedule`: the schedule found a difference.
   * - `job`: a `promote` job. `queue`, `http`: a person or a program asked, by that way.
   * - `retry`: the run before was interrupted.
   * - `follow-up`: something changed while the run before was open, or its tag moved on.
   */
  kind: z.enum(TRIGGER_KINDS),
  /** The event's, message's or job's own id; of `retry` and `follow-up` the run before. */
  id: z.string().exactOptional(),
  /** Why somebody asked, in their words. */
  reason: z.string().exactOptional(),
  at: z.string(),
});
/** What made somebody look. */
export type TriggerCause = z.infer<typeof triggerCauseSchema>;

export const triggerSchema = triggerCauseSchema.extend({
  /** Of a `follow-up`: the last trigger that the run before coalesced. */
  coalesced: triggerCauseSchema.exactOptional(),
});
/** What opened a run. */
export type Trigger = z.infer<typeof triggerSchema>;

const acceptedJobSchema = z.looseObject({ id: z.string(), operation: z.string() });
/** A job as it was accepted, defaults included: JSON that operations/job-schema.ts reads again. */
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
/** What a job has to show: as it is, or where it is too large for a row, as a document. */
export type RunOutput = z.infer<typeof runOutputSchema>;

const cancellationSchema = z.object({
  at: z.string(),
  /** As they call themselves. */
  by: z.string(),
  reason: z.string().exactOptional(),
  /** The promotion's `generation` at that time: all of it is answered by the run that stops. */
  generation: z.number().exactOptional(),
});
/** Somebody asked a run to stop: who, when and why. */
export type Cancellation = z.infer<typeof cancellationSchema>;

export const runRowSchema = z.object({
  id: z.string(),
  input: runInputSchema,
  state: z.enum(['pending', 'running', 'ended']),
  openedAt: z.string(),
  trigger: triggerSchema.exactOptional(),
  /** Of a promotion: the generation that it answers, from when it has begun. */
  generation: z.number().exactOptional(),
  /** What the source stands on, from when the run has looked. */
  digest: z.string().exactOptional(),
  /** When a job whose orchestration was lost was started once more. */
  startedAgainAt: z.string().exactOptional(),
  /** When its CloudEvent was sent. */
  eventSentAt: z.string().exactOptional(),
  /** Set once, never taken back; the run ends as soon as it sees it. */
  cancel: cancellationSchema.exactOptional(),
  finishedAt: z.string().exactOptional(),
  result: runResultSchema.exactOptional(),
  /** What a job's operation found or made. */
  output: runOutputSchema.exactOptional(),
});
/** One attempt, or one job. */
export type RunRow = z.infer<typeof runRowSchema>;

export const runSummarySchema = z.object({
  id: z.string(),
  kind: z.enum(['promotion', 'job']),
  state: z.enum(['pending', 'running', 'ended']),
  openedAt: z.string(),
  finishedAt: z.string().exactOptional(),
  startedAgainAt: z.string().exactOptional(),
  eventSentAt: z.string().exactOptional(),
  trigger: triggerSchema.exactOptional(),
  /** Of a promotion. */
  promotionId: z.string().exactOptional(),
  rule: z.string().exactOptional(),
  /** Of a job. */
  jobId: z.string().exactOptional(),
  operation: z.string().exactOptional(),
  /** Absent where a job is about no repository. */
  source: z.object({ registry: z.string(), repository: z.string(), tag: z.string().exactOptional() }).exactOptional(),
  destination: z.string().exactOptional(),
  digest: z.string().exactOptional(),
  result: runResultSchema.exactOptional(),
});
/** A run in a list: what it is about and where it stands, without the rule and the output. */
export type RunSummary = z.infer<typeof runSummarySchema>;
