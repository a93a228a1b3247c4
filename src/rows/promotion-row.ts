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

/** The state of a promotion. `in_sync`: the last check found the destination as the rule requires. */
export type PromotionState = (typeof PROMOTION_STATES)[number];

export const promotionRowSchema = z.object({
  /** Hash of rule name, source registry, repository and tag. */
  id: z.string(),
  rule: z.string(),
  source: sourceTagSchema,
  /** The destination that the rule gives: `localhost:5101/staging/app:v1`. */
  destination: z.string(),
  /** Incremented by every trigger. A run closes the row only if this is still the generation that it read. */
  generation: z.number(),
  incrementedAt: z.string(),
  /** The trigger that incremented `generation` last. */
  lastTrigger: triggerCauseSchema.optional(),
  /** The newest jobs that incremented `generation`, each with the value that it made. Oldest first. */
  jobs: z.array(z.object({ id: z.string(), generation: z.number() })).optional(),
  /**
   * The `generation` that the last final run answered. If it is behind `generation` and no run is open, the app is
   * paused or the tick's limit was reached; the schedule opens the run later.
   */
  observedGeneration: z.number(),
  state: z.enum(PROMOTION_STATES),
  /** The current run, or the last one if `runOpen` is false. */
  runId: z.string().optional(),
  runOpen: z.boolean(),
  runOpenedAt: z.string().optional(),
  /** The trigger that opened that run, and how many triggers it has coalesced. */
  runTrigger: triggerSchema.optional(),
  coalesced: z.number().optional(),
  /** Set by the run's first step. It shows that the engine has the run. */
  runBegun: z.boolean(),
  previousRunId: z.string().optional(),
  /** The external event that notifies a run that waits for evidence. Absent while the run pauses between two checks. */
  waitingFor: z.string().optional(),
  /** When the last final run's outcome and digest first appeared. */
  since: z.string().optional(),
  /** The last final run's result, and the fingerprint of its rule. */
  last: runResultSchema.extend({ runId: z.string(), finishedAt: z.string(), fingerprint: z.string() }).optional(),
  /** The digest that last passed the evidence gate, and the fingerprint of the rule at that time. */
  gate: z.object({ digest: z.string(), fingerprint: z.string() }).optional(),
  /** What triggers reported about the tag and its referrers. */
  news: newsSchema.optional(),
  /** The state of this promotion's resync. */
  resync: z
    .object({
      /** The run after which this was written. A later run compares everything itself, so this no longer counts. */
      runId: z.string(),
      /** The time of the last comparison without a difference. */
      at: z.string().optional(),
      /** Failed comparisons in a row, and when the next one is due. */
      trouble: z.object({ times: z.number(), retryAt: z.string() }).optional(),
      /**
       * A digest whose comparison takes too many requests for the schedule, so that a run compares it once a day. It
       * stays valid after later runs.
       */
      tooLarge: z.string().optional(),
    })
    .optional(),
  /** Failures in a row. They determine the pause before the schedule tries again. */
  failures: z.number(),
  /** When the schedule tries a failed promotion again. Absent if only a trigger or a scan does. */
  retryAt: z.string().optional(),
  /** A run that has reported nothing for long, and when the schedule first noticed. */
  silent: z.object({ runId: z.string(), at: z.string() }).optional(),
  /**
   * How many runs at this `generation` were interrupted, one after the other. `steps` and `bytes` (copied) are the
   * most that one of them has completed.
   */
  interrupted: z.object({ times: z.number(), generation: z.number(), steps: z.number(), bytes: z.number() }).optional(),
  /** Superseded runs in a row at this `generation`. */
  superseded: z.object({ times: z.number(), generation: z.number() }).optional(),
  /**
   * The digest of a run that may have written to the destination and did not succeed. The run that finds it there sends
   * the result event.
   */
  unconfirmed: z.string().optional(),
});
/** A promotion: one rule applied to one source tag. The row is the source of truth; the engine only executes runs. */
export type PromotionRow = z.infer<typeof promotionRowSchema>;
