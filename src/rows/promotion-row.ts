import { z } from 'zod';
import {
  sourceTagSchema,
  runResultSchema,
  triggerCauseSchema,
  triggerSchema,
  type RunResult,
  type TriggerCause,
  type Trigger,
  type SourceTag,
} from './run-row.js';

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
