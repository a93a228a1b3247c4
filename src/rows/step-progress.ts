import { z } from 'zod';

export const stepProgressSchema = z.object({
  runId: z.string(),
  /** For example `attachSbom linux/amd64`. Unique in the run. */
  step: z.string(),
  state: z.enum(['working', 'done', 'waiting', 'failed']),
  /** One line of text for a person. */
  text: z.string(),
  startedAt: z.string(),
  updatedAt: z.string(),
  doneBytes: z.number().optional(),
  totalBytes: z.number().optional(),
  /** Manifests and blobs of a copy. */
  doneNodes: z.number().optional(),
  totalNodes: z.number().optional(),
  /**
   * A transient error that the step waits for: its code, calls so far, since when, and the approximate time of the next
   * call.
   */
  waitsFor: z
    .object({
      code: z.string(),
      tries: z.number(),
      since: z.string(),
      nextAt: z.string(),
      /** The host that does not answer. `text` names it, too. */
      unanswered: z.string().optional(),
    })
    .optional(),
  /** The external event that ends the wait of the step. */
  event: z.string().optional(),
});
/** The progress of a step while it works and when it is done. Each step has its own row. */
export type StepProgress = z.infer<typeof stepProgressSchema>;
