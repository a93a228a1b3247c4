import { z } from 'zod';

export const stepProgressSchema = z.object({
  runId: z.string(),
  /** `attachSbom linux/amd64`: unique in the run. */
  step: z.string(),
  state: z.enum(['working', 'done', 'waiting', 'failed']),
  /** One line for a person. */
  text: z.string(),
  startedAt: z.string(),
  updatedAt: z.string(),
  doneBytes: z.number().exactOptional(),
  totalBytes: z.number().exactOptional(),
  /** Manifests and blobs of a copy. */
  doneNodes: z.number().exactOptional(),
  totalNodes: z.number().exactOptional(),
  /** Trouble that is waited out: its code, calls so far, since when, and about when the next one is. */
  waitsFor: z
    .object({
      code: z.string(),
      tries: z.number(),
      since: z.string(),
      nextAt: z.string(),
      /** The host that does not answer; the text says all of this. */
      unanswered: z.string().exactOptional(),
    })
    .exactOptional(),
  /** Where it waits to be called again: the external event that ends the wait. */
  event: z.string().exactOptional(),
});
/** What a step says of itself while it works and when it is done; a row of its own. */
export type StepProgress = z.infer<typeof stepProgressSchema>;
