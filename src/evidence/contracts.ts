import { z } from 'zod';
import { contract, long, digest, descriptor, owned } from '../rows/steps.js';

/** One manifest of the promoted graph that gets something attached. */
export const imageSchema = descriptor.extend({
  /** `linux/amd64`, or the media type of what is no image. */
  label: z.string(),
  /** Whether it gets an SBOM, and why not. */
  sbom: z.boolean(),
  why: z.string().optional(),
});

/** The evidence of others, looked at once. */
export const checkEvidenceContract = contract(
  'checkEvidence',
  owned.extend({ root: descriptor }),
  z.discriminatedUnion('state', [
    z.object({ state: z.literal('passed'), generation: z.number() }),
    z.object({
      state: z.literal('closed'),
      generation: z.number(),
      reasons: z.array(z.string()),
      evidence: z.string(),
    }),
    z.object({ state: z.literal('superseded') }),
    z.object({ state: z.literal('gone') }),
  ]),
);

/** SBOMs and signatures of the whole graph. A long step. */
export const attachContract = long(
  'attach',
  owned.extend({ root: digest }),
  z.object({
    /** What was attached and what was there, a line each; of a large graph the counts. */
    did: z.array(z.string()),
  }),
);

export type Image = z.infer<typeof imageSchema>;
