import { z } from 'zod';

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

export const stepProgressSchema: z.ZodType<StepProgress> = z.object({
  runId: z.string(),
  step: z.string(),
  state: z.enum(['working', 'done', 'waiting', 'failed']),
  text: z.string(),
  startedAt: z.string(),
  updatedAt: z.string(),
  doneBytes: z.number().exactOptional(),
  totalBytes: z.number().exactOptional(),
  doneNodes: z.number().exactOptional(),
  totalNodes: z.number().exactOptional(),
  waitsFor: z.object({ code: z.string(), tries: z.number(), since: z.string(), nextAt: z.string() }).exactOptional(),
  wake: z.string().exactOptional(),
  waitsIn: z.string().exactOptional(),
});
