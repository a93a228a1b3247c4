import { z } from 'zod';
import { answerInvalid } from '../output/job-output.js';

// Answers of the app. This file is loaded only when the app is asked, because zod takes time to load.

const problemSchema = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    remedy: z.string().optional(),
    problems: z.array(z.object({ path: z.string(), message: z.string() })).default([]),
  }),
});
const submittedSchema = z.object({ id: z.string(), runId: z.string(), statusUrl: z.string() });
const runSchema = z.looseObject({
  id: z.string(),
  state: z.string(),
  input: z.object({ job: z.looseObject({ operation: z.string(), id: z.string() }) }),
  result: z
    .looseObject({
      outcome: z.string(),
      code: z.string().optional(),
      reason: z.string().optional(),
      remedy: z.string().optional(),
      digest: z.string().optional(),
    })
    .optional(),
  output: z.looseObject({ kind: z.string() }).optional(),
  steps: z.array(z.looseObject({ step: z.string(), state: z.string(), text: z.string() })).default([]),
});

/** A job's run. */
export type Run = z.infer<typeof runSchema>;

/** The error in an answer of the app. Undefined if the answer does not come from the app. */
export function readProblem(answer: unknown): z.infer<typeof problemSchema>['error'] | undefined {
  return problemSchema.safeParse(answer).data?.error;
}

/** @throws PromoterError `APP_ANSWER_INVALID` */
export function readSubmitted(answer: unknown): z.infer<typeof submittedSchema> {
  return known(submittedSchema, answer);
}

/** @throws PromoterError `APP_ANSWER_INVALID` */
export function readRun(answer: unknown): Run {
  return known(runSchema, answer);
}

/** @throws PromoterError `APP_ANSWER_INVALID` */
export function known<S extends z.ZodType>(schema: S, answer: unknown): z.infer<S> {
  const parsed = schema.safeParse(answer);
  if (parsed.success) return parsed.data;
  throw answerInvalid();
}
