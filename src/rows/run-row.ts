import { z } from 'zod';
import { ruleSchema, type Rule } from '../rules/rule.js';

export const OUTCOMES = [
  'promoted',
  'completed',
  'unchanged',
  'observed',
  'superseded',
  'refused',
  'failed',
  'cancelled',
] as const;

export type Outcome = (typeof OUTCOMES)[number];

/** How a run ended, and why. */
export interface RunResult {
  outcome: Outcome;
  /** Where the outcome is refused or failed: the error's code, message and remedy. */
  code?: string;
  reason?: string;
  remedy?: string;
  /** Where evidence was missing: a hash of the signatures that the image had then. */
  evidence?: string;
  /** The tag's digest that the run saw. */
  digest?: string;
}

export const TRIGGER_KINDS = [
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

/** What made somebody look. */
export interface TriggerCause {
  /**
   * `push`, `referrer` (evidence came), `deletion`: a registry's event. `schedule`. `job`: a `promote` job. `queue`, `http`: how
   * a job, or a person, asked. `retry`: the run before was lost. `follow-up`: something was wanted while the run before worked, or
   * its tag moved on.
   */
  kind: (typeof TRIGGER_KINDS)[number];
  /** The event's, message's or job's own id; of `retry` and `follow-up` the run before. */
  id?: string;
  at: string;
}

/** What opened a run. */
export interface Trigger extends TriggerCause {
  /** Of a `follow-up`: the last trigger that the run before absorbed. */
  absorbed?: TriggerCause;
}

export interface SourceTag {
  registry: string;
  repository: string;
  tag: string;
}

/** A job as it was accepted, defaults included: JSON that operations/accepted-job.ts reads again. */
export interface AcceptedJob {
  id: string;
  operation: string;
  [field: string]: unknown;
}

export type RunInput =
  | { kind: 'promotion'; runId: string; promotionId: string; rule: Rule; source: SourceTag; destination: string }
  | { kind: 'job'; runId: string; job: AcceptedJob };

/** Somebody asked a run to stop: who, when and why. */
export interface Cancellation {
  at: string;
  /** As they call themselves. */
  by: string;
  reason?: string;
  /** The promotion's `wanted` at that time: all of it is answered by the run that stops. */
  wanted?: number;
}

/** One attempt, or one job. */
export interface RunRow {
  id: string;
  input: RunInput;
  state: 'pending' | 'running' | 'ended';
  openedAt: string;
  trigger?: Trigger;
  /** What the source stands on, from when the run has looked. */
  digest?: string;
  /** When a job whose orchestration was lost was started once more. */
  startedAgainAt?: string;
  /** Set once, never taken back; the run ends as soon as it sees it. */
  cancel?: Cancellation;
  finishedAt?: string;
  result?: RunResult;
  /** When its CloudEvent was sent. */
  toldAt?: string;
  /** What a job's operation found or made. */
  output?: RunOutput;
}

/** A run in a list: what it is about and where it stands, without the rule and the output. */
export interface RunSummary {
  id: string;
  kind: 'promotion' | 'job';
  state: RunRow['state'];
  openedAt: string;
  finishedAt?: string;
  startedAgainAt?: string;
  toldAt?: string;
  trigger?: Trigger;
  /** Of a promotion. */
  promotionId?: string;
  rule?: string;
  /** Of a job. */
  jobId?: string;
  operation?: string;
  /** Absent where a job is about no repository. */
  source?: { registry: string; repository: string; tag?: string };
  destination?: string;
  digest?: string;
  result?: RunResult;
}

/** What a job has to show: as it is, or where it is too large for a row, as a document. */
export type RunOutput =
  | { kind: 'inline'; value: unknown }
  /** JSON, in the container `documents`. */
  | { kind: 'document'; name: string; sizeBytes: number };

/**
 * The rows of rows.ts as they come out of a store: a boundary, since an older or a newer version may have written them. Unknown
 * fields are dropped; a field that is added later needs a default or must be optional.
 */
export const sourceTagSchema = z.object({ registry: z.string(), repository: z.string(), tag: z.string() });

export const runResultSchema = z.object({
  outcome: z.enum(OUTCOMES),
  code: z.string().exactOptional(),
  reason: z.string().exactOptional(),
  remedy: z.string().exactOptional(),
  evidence: z.string().exactOptional(),
  digest: z.string().exactOptional(),
});

const causeSchema = z.object({ kind: z.enum(TRIGGER_KINDS), id: z.string().exactOptional(), at: z.string() });

export const triggerCauseSchema: z.ZodType<TriggerCause> = causeSchema;

export const triggerSchema: z.ZodType<Trigger> = causeSchema.extend({ absorbed: causeSchema.exactOptional() });

const runInputSchema: z.ZodType<RunInput> = z.discriminatedUnion('kind', [
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
    job: z.looseObject({ id: z.string(), operation: z.string() }),
  }),
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
