import type { JobInput } from '../operations/job-schema.js';
import type { Rule } from '../rules/rule.js';

export type { JobInput };

/** A row with the version (ETag) under which it may be replaced. */
export interface Versioned<T> {
  value: T;
  version: string;
}

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

export const PROMOTION_STATES = [
  'working',
  'waiting',
  'in_sync',
  'observed',
  'refused',
  'failed',
  'cancelled',
] as const;
/** Where a promotion stands. `in_sync`: the destination was as wanted when last looked at. */
export type PromotionState = (typeof PROMOTION_STATES)[number];

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

/** One rule on one source tag: what should stand at the destination. The truth; the engine only does the work. */
export interface PromotionRow {
  /** Hash of rule name, source registry, repository and tag. */
  id: string;
  rule: string;
  source: SourceTag;
  /** The destination as the rule gives it: `localhost:5101/staging/app:v1`. */
  destination: string;
  /** Raised by every trigger; a run closes the row only if this is what it read. */
  wanted: number;
  wantedAt: string;
  /** What raised `wanted` last. */
  lastTrigger?: TriggerCause;
  /** The `wanted` that the last final run answered; behind `wanted` with no run open: paused, to be opened by the schedule. */
  answered: number;
  state: PromotionState;
  /** The run that owns the row; open while `runOpen`. */
  runId?: string;
  runOpen: boolean;
  runOpenedAt?: string;
  /** What opened that run, and how many triggers it absorbed since. */
  runTrigger?: Trigger;
  absorbed?: number;
  /** Set by the run's first step: the engine has it. */
  runBegun: boolean;
  previousRunId?: string;
  /** The external event that wakes the run that waits for evidence; none while it pauses between looks. */
  waitingFor?: string;
  /** Since when the last final run's outcome and digest are what they are. */
  since?: string;
  /** The last final run's result. */
  last?: RunResult & { runId: string; finishedAt: string; ruleHash: string };
  /** The digest that passed the evidence gate last, and the hash of the evidence policy under which it did. */
  gate?: { digest: string; policy: string };
  /** Failures in a row, for the schedule's growing pauses. */
  failures: number;
  /** How often in a row runs were superseded, while `wanted` was this. */
  superseded?: { times: number; wanted: number };
  /** What a run has put under the destination's tag and could not read back: who finds it there later tells of it. */
  unconfirmed?: string;
}

export type RunInput =
  | { kind: 'promotion'; runId: string; promotionId: string; rule: Rule; source: SourceTag; destination: string }
  | { kind: 'job'; runId: string; job: JobInput };

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

/** What a step says of itself while it works and when it is done; a row of its own. */
export interface StepProgress {
  runId: string;
  /** `attachSbom linux/amd64`: unique in the run. */
  step: string;
  state: 'working' | 'done' | 'waiting' | 'failed';
  /** One line for a person. */
  text: string;
  startedAt: string;
  updatedAt: string;
  doneBytes?: number;
  totalBytes?: number;
  /** Manifests and blobs of a copy. */
  doneNodes?: number;
  totalNodes?: number;
  /** Trouble that is waited out: its code, calls so far, since when, and about when the next one is. */
  waitsFor?: { code: string; tries: number; since: string; nextAt: string };
  /** Where it waits to be called again: the external event that ends the wait. */
  wake?: string;
  /** The instance that waits for it, where that is not the run's own. */
  waitsIn?: string;
}

/** A promotion that stands on a digest: what refers to that is its concern. */
export interface Standing {
  promotionId: string;
  /** The tag's digest that has it in its graph, and when a run has seen it last; absent in rows of an older version. */
  root?: string;
  at?: string;
}

/** Who owns a destination tag. */
export interface DestinationOwner {
  rule: string;
  promotionId: string;
  source: string;
}

/** An event that no rule wanted, and the first condition that failed; with those before it for the same tag and reason. */
export interface IgnoredEvent {
  /** The last of them. */
  at: string;
  /** How many, and when the first; absent of one alone. */
  times?: number;
  firstAt?: string;
  reference: string;
  /** The event's own. */
  eventId?: string;
  /** `rule staging: tag latest is not in v*` */
  reason: string;
}
