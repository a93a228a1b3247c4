import { z } from 'zod';
import { newsSchema } from './news.js';
import { sourceTagSchema, runResultSchema, triggerCauseSchema, triggerSchema } from './run-row.js';

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

export const promotionRowSchema = z.object({
  /** Hash of rule name, source registry, repository and tag. */
  id: z.string(),
  rule: z.string(),
  source: sourceTagSchema,
  /** The destination as the rule gives it: `localhost:5101/staging/app:v1`. */
  destination: z.string(),
  /** Raised by every trigger; a run closes the row only if this is what it read. */
  generation: z.number(),
  incrementedAt: z.string(),
  /** What raised `generation` last. */
  lastTrigger: triggerCauseSchema.exactOptional(),
  /** The `generation` that the last final run answered; behind `generation` with no run open: paused, to be opened by the schedule. */
  observedGeneration: z.number(),
  state: z.enum(PROMOTION_STATES),
  /** The run that owns the row; open while `runOpen`. */
  runId: z.string().exactOptional(),
  runOpen: z.boolean(),
  runOpenedAt: z.string().exactOptional(),
  /** What opened that run, and how many triggers it coalesced since. */
  runTrigger: triggerSchema.exactOptional(),
  coalesced: z.number().exactOptional(),
  /** Set by the run's first step: the engine has it. */
  runBegun: z.boolean(),
  previousRunId: z.string().exactOptional(),
  /** The external event that wakes the run that waits for evidence; none while it pauses between looks. */
  waitingFor: z.string().exactOptional(),
  /** Since when the last final run's outcome and digest are what they are. */
  since: z.string().exactOptional(),
  /** The last final run's result, and the fingerprint of the rule that it ran by. */
  last: runResultSchema.extend({ runId: z.string(), finishedAt: z.string(), fingerprint: z.string() }).exactOptional(),
  /** The digest that passed the evidence gate last, and the fingerprint of the rule that it passed by. */
  gate: z.object({ digest: z.string(), fingerprint: z.string() }).exactOptional(),
  /** What triggers said of the tag and its referrers. */
  news: newsSchema.exactOptional(),
  /** What resync knows of it. */
  resync: z
    .object({
      /** The run since which it is so: a later one has compared everything itself. */
      runId: z.string(),
      /** When it was compared last, without a difference. */
      at: z.string().exactOptional(),
      /** Looks in a row that came to no end, and when the next one is due. */
      trouble: z.object({ times: z.number(), retryAt: z.string() }).exactOptional(),
      /** A digest that is too large for one look: a run looks at it once a day. Of any run. */
      tooLarge: z.string().exactOptional(),
    })
    .exactOptional(),
  /** Failures in a row, for the schedule's growing pauses. */
  failures: z.number(),
  /** When the schedule tries again what failed; absent if nobody but a trigger or a scan does. */
  retryAt: z.string().exactOptional(),
  /** Which run had done nothing for long when it was looked at, and when that was first. */
  silent: z.object({ runId: z.string(), at: z.string() }).exactOptional(),
  /** How often in a row runs were interrupted, while `generation` was this, and how many steps and bytes of the copy the furthest of them had done. */
  interrupted: z
    .object({ times: z.number(), generation: z.number(), steps: z.number(), bytes: z.number() })
    .exactOptional(),
  /** How often in a row runs were superseded, while `generation` was this. */
  superseded: z.object({ times: z.number(), generation: z.number() }).exactOptional(),
  /** What a run has put under the destination's tag, or was about to, without a result event: the run that finds it there sends one. */
  unconfirmed: z.string().exactOptional(),
});
/** One rule on one source tag: what should stand at the destination. The truth; the engine only does the work. */
export type PromotionRow = z.infer<typeof promotionRowSchema>;
