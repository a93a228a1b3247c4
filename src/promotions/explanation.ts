import { z } from 'zod';
import { ignoredEventSchema } from '../rows/ignored-event.js';
import { PROMOTION_STATES } from '../rows/promotion-row.js';

/** The check failed. `since`: the first failed check in the row, otherwise this one. */
const unknownSchema = z.object({
  state: z.literal('unknown'),
  since: z.string(),
  code: z.string(),
  reason: z.string(),
  remedy: z.string().optional(),
});
export type Unknown = z.infer<typeof unknownSchema>;

const checkSchema = z.discriminatedUnion('state', [
  /** `digest` only for a tag. */
  z.object({ state: z.literal('there'), digest: z.string().optional() }),
  z.object({ state: z.literal('missing') }),
  unknownSchema,
]);
/** The answer of a registry to one check, or why there is none. */
export type Check = z.infer<typeof checkSchema>;

const checksSchema = z.object({ source: checkSchema, destination: checkSchema, evidence: checkSchema.optional() });
/** The checks of an answer. Evidence is checked only if everything else says that the promotion is in sync. */
export type Checks = z.infer<typeof checksSchema>;

const explainedPromotionSchema = z.object({
  /** Absent if there is no promotion yet. */
  promotionId: z.string().optional(),
  rule: z.string(),
  source: z.string(),
  destination: z.string(),
  /**
   * The state of the promotion. `in_sync` is what the last run found. `waiting` includes a promotion whose next run
   * waits for an event, for the schedule, or for PROMOTION_PAUSED=false. Absent if there is no promotion yet.
   */
  state: z.enum(PROMOTION_STATES).optional(),
  /**
   * True if the destination has what the rule requires now; null if that could not be checked; absent if no rule
   * matches any more.
   */
  promoted: z.boolean().nullable().optional(),
  /** One sentence or two. */
  text: z.string(),
  /** The time since when it is in this state; absent if unknown. */
  since: z.string().optional(),
  /** The digest of the last run. */
  digest: z.string().optional(),
  runId: z.string().optional(),
  /** The step of an open run. */
  step: z.string().optional(),
  code: z.string().optional(),
  reason: z.string().optional(),
  remedy: z.string().optional(),
  /** The answers of the registries. Absent if they were not asked. */
  checks: checksSchema.optional(),
});
/** One rule's answer. */
export type ExplainedPromotion = z.infer<typeof explainedPromotionSchema>;

export const explanationSchema = z.object({
  reference: z.string(),
  /**
   * True if every promotion is promoted; false if one is not, or if there is none; null if a registry could not be
   * asked.
   */
  promoted: z.boolean().nullable(),
  promotions: z.array(explainedPromotionSchema),
  /**
   * For a tag without a promotion: the rule with the most conditions met, and the first condition that the tag fails.
   */
  nearest: z.string().optional(),
  /** Why a digest or a repository has no promotion, or where the others are listed. */
  note: z.string().optional(),
  ignored: z.array(ignoredEventSchema),
  /** Warnings about the signing key. */
  warnings: z.array(z.object({ code: z.string(), message: z.string(), remedy: z.string() })).optional(),
});
/** Whether a tag, a repository or a digest is promoted, and if not, why not. */
export type Explanation = z.infer<typeof explanationSchema>;
