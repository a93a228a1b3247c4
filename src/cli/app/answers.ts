import { z } from 'zod';
import { explanationSchema } from '../../promotions/explanation.js';
import { ignoredEventSchema } from '../../rows/ignored-event.js';
import { answerInvalid } from '../output/read-job-output.js';

// The answers of the app: only the fields that are shown. The app may be newer than this command. This file is loaded
// only when the app is asked, because zod takes time to load.

/** The error in an answer of the app. */
const errorSchema = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    remedy: z.string().optional(),
    problems: z.array(z.object({ path: z.string(), message: z.string() })).default([]),
  }),
});

const submittedSchema = z.object({ id: z.string(), runId: z.string(), statusUrl: z.string() });

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
const jobInputSchema = z.looseObject({
  kind: z.literal('job'),
  job: z.looseObject({ operation: z.string(), id: z.string() }),
});
const promotionInputSchema = z.looseObject({
  kind: z.literal('promotion'),
  rule: z.looseObject({ name: z.string() }),
  source: sourceSchema,
  destination: z.string(),
});
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
  input: z.union([promotionInputSchema, jobInputSchema]),
  result: resultSchema.optional(),
  steps: z.array(stepSchema),
});
/** The run of a job. */
const jobRunSchema = shownRunSchema.pick({ id: true, state: true, result: true }).extend({
  input: jobInputSchema.pick({ job: true }),
  output: z.looseObject({ kind: z.string() }).optional(),
  steps: z.array(stepSchema.pick({ step: true, state: true, text: true })).default([]),
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

/** The answer to a request to run a promotion. */
const requestedSchema = z.looseObject({
  promotionId: z.string(),
  /** The request is answered when `observedGeneration` is at least this. */
  generation: z.number().optional(),
  /** Absent if PROMOTION_PAUSED is set. */
  runId: z.string().optional(),
});

export type Requested = z.infer<typeof requestedSchema>;
export type JobRun = z.infer<typeof jobRunSchema>;
export type ShownStatus = z.infer<typeof statusSchema>;
export type ShownPromotion = z.infer<typeof promotionSchema>;
export type RunInList = z.infer<typeof summarySchema>;
export type ShownRun = z.infer<typeof shownRunSchema>;

/** Reads an answer. @throws PromoterError `APP_ANSWER_INVALID` */
type Read<T> = (answer: unknown) => T;

function reader<S extends z.ZodType>(schema: S): Read<z.infer<S>> {
  return (answer) => {
    const parsed = schema.safeParse(answer);
    if (parsed.success) return parsed.data;
    throw answerInvalid();
  };
}

function pageReader<S extends z.ZodType>(
  name: string,
  schema: S,
): Read<{ items: z.infer<S>[]; next?: string | undefined }> {
  const read = reader(z.object({ [name]: z.array(schema) }));
  const readNext = reader(z.object({ next: z.string().optional() }));
  return (answer) => ({ items: read(answer)[name] ?? [], ...readNext(answer) });
}

export const readPromotions = pageReader('promotions', promotionSchema);
export const readRuns = pageReader('runs', summarySchema);
export const readIgnored = pageReader('ignored', ignoredEventSchema.loose());
export const readPromotion = reader(rowSchema);
export const readRequested = reader(requestedSchema);
export const readShownRun = reader(shownRunSchema);
export const readExplanation = reader(explanationSchema);
export const readStatus = reader(statusSchema);
export const readSubmitted = reader(submittedSchema);
export const readJobRun = reader(jobRunSchema);

/** The error in an answer. Undefined if the answer does not come from the app. */
export function readError(answer: unknown): z.infer<typeof errorSchema>['error'] | undefined {
  return errorSchema.safeParse(answer).data?.error;
}
