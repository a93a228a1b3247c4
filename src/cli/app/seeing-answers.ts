import { z } from 'zod';
import { PROMOTION_STATES } from '../../rows/promotion-row.js';
import type { Explanation } from '../../promotions/explanation.js';
import { known } from './jobs-answers.js';

// Answers of the app about promotions and runs: only the fields that are shown. The app may be newer than this command.

const sourceSchema = z.looseObject({ registry: z.string(), repository: z.string(), tag: z.string().optional() });
const resultSchema = z.looseObject({
  outcome: z.string(),
  code: z.string().optional(),
  reason: z.string().optional(),
  remedy: z.string().optional(),
  digest: z.string().optional(),
});
const triggerSchema = z.looseObject({
  kind: z.string(),
  id: z.string().optional(),
  reason: z.string().optional(),
  at: z.string(),
});

const promotionSchema = z.looseObject({
  id: z.string(),
  rule: z.string(),
  source: sourceSchema,
  destination: z.string(),
  state: z.string(),
  since: z.string().optional(),
  incrementedAt: z.string(),
  runId: z.string().optional(),
  last: resultSchema.extend({ finishedAt: z.string() }).optional(),
});
const rowSchema = promotionSchema.extend({
  generation: z.number(),
  observedGeneration: z.number(),
  runOpen: z.boolean(),
});
const summarySchema = z.looseObject({
  id: z.string(),
  state: z.string(),
  openedAt: z.string(),
  finishedAt: z.string().optional(),
  trigger: triggerSchema.optional(),
  rule: z.string().optional(),
  jobId: z.string().optional(),
  operation: z.string().optional(),
  source: sourceSchema.optional(),
  digest: z.string().optional(),
  result: resultSchema.optional(),
});
const ignoredSchema = z.looseObject({
  at: z.string(),
  times: z.number().exactOptional(),
  firstAt: z.string().exactOptional(),
  reference: z.string(),
  reason: z.string(),
});
const inputSchema = z.union([
  z.looseObject({
    kind: z.literal('promotion'),
    rule: z.looseObject({ name: z.string() }),
    source: sourceSchema,
    destination: z.string(),
  }),
  z.looseObject({ kind: z.literal('job'), job: z.looseObject({ operation: z.string(), id: z.string() }) }),
]);
const stepSchema = z.looseObject({
  step: z.string(),
  state: z.string(),
  text: z.string(),
  startedAt: z.string(),
  durationMs: z.number(),
  doneBytes: z.number().optional(),
  totalBytes: z.number().optional(),
  doneNodes: z.number().optional(),
  totalNodes: z.number().optional(),
});
const shownRunSchema = z.looseObject({
  id: z.string(),
  state: z.string(),
  openedAt: z.string(),
  durationMs: z.number(),
  trigger: triggerSchema.optional(),
  digest: z.string().optional(),
  input: inputSchema,
  result: resultSchema.optional(),
  steps: z.array(stepSchema),
});
const checkSchema = z.union([
  z.looseObject({ state: z.literal('there'), digest: z.string().optional() }),
  z.looseObject({ state: z.literal('missing') }),
  z.looseObject({
    state: z.literal('unknown'),
    since: z.string(),
    code: z.string(),
    reason: z.string(),
    remedy: z.string().optional(),
  }),
]);
const explanationSchema = z.looseObject({
  reference: z.string(),
  promoted: z.boolean().nullable(),
  promotions: z.array(
    z.looseObject({
      promotionId: z.string().exactOptional(),
      rule: z.string(),
      source: z.string(),
      destination: z.string(),
      state: z.enum(PROMOTION_STATES).exactOptional(),
      promoted: z.boolean().nullable().optional(),
      text: z.string(),
      since: z.string().exactOptional(),
      runId: z.string().exactOptional(),
      remedy: z.string().exactOptional(),
      checks: z
        .looseObject({ source: checkSchema, destination: checkSchema, evidence: checkSchema.optional() })
        .exactOptional(),
    }),
  ),
  nearest: z.string().exactOptional(),
  note: z.string().exactOptional(),
  ignored: z.array(ignoredSchema),
  warnings: z.array(z.object({ code: z.string(), message: z.string(), remedy: z.string() })).exactOptional(),
});

const problemSchema = z.looseObject({
  code: z.string(),
  message: z.string(),
  remedy: z.string().optional(),
  setting: z.string().optional(),
});
const countsSchema = z.record(z.string(), z.number());
const statusSchema = z.looseObject({
  ok: z.boolean(),
  version: z.string(),
  problems: z.array(problemSchema),
  warnings: z.array(problemSchema).default([]),
  settings: z.array(z.string()),
  paused: z.boolean().optional(),
  registries: z.array(z.looseObject({ host: z.string(), signIn: z.string() })).optional(),
  lastTick: z.looseObject({ at: z.string(), ageSeconds: z.number() }).optional(),
  rules: z.looseObject({ count: z.number(), since: z.string() }).optional(),
  signing: z
    .looseObject({ key: z.string(), algorithm: z.string(), subject: z.string(), notAfter: z.string() })
    .optional(),
  backlog: countsSchema.optional(),
  poison: countsSchema.optional(),
});

export type ShownStatus = z.infer<typeof statusSchema>;
export type ShownPromotion = z.infer<typeof promotionSchema>;
export type RunInList = z.infer<typeof summarySchema>;
export type ShownRun = z.infer<typeof shownRunSchema>;
export type ShownIgnored = z.infer<typeof ignoredSchema>;

interface ListPage<T> {
  items: T[];
  next?: string | undefined;
}

/** @throws PromoterError `APP_ANSWER_INVALID`, as all functions of this file */
export function readPromotions(answer: unknown): ListPage<ShownPromotion> {
  const { promotions, next } = known(
    z.object({ promotions: z.array(promotionSchema), next: z.string().optional() }),
    answer,
  );
  return { items: promotions, next };
}

export function readRuns(answer: unknown): ListPage<RunInList> {
  const { runs, next } = known(z.object({ runs: z.array(summarySchema), next: z.string().optional() }), answer);
  return { items: runs, next };
}

export function readIgnored(answer: unknown): ListPage<ShownIgnored> {
  const { ignored, next } = known(z.object({ ignored: z.array(ignoredSchema), next: z.string().optional() }), answer);
  return { items: ignored, next };
}

export function readShownRun(answer: unknown): ShownRun {
  return known(shownRunSchema, answer);
}

export function readExplanation(answer: unknown): Explanation {
  return known(explanationSchema, answer);
}

export function readStatus(answer: unknown): ShownStatus {
  return known(statusSchema, answer);
}

const requestedSchema = z.looseObject({
  promotionId: z.string(),
  /** The request is answered when `observedGeneration` is at least this. */
  generation: z.number().optional(),
  /** Absent if PROMOTION_PAUSED is set. */
  runId: z.string().optional(),
});
/** The answer to a request to run a promotion. */
export type Requested = z.infer<typeof requestedSchema>;

export function readRequested(answer: unknown): Requested {
  return known(requestedSchema, answer);
}

export function readPromotion(answer: unknown): z.infer<typeof rowSchema> {
  return known(rowSchema, answer);
}
