import { z } from 'zod';
import { long, digest, descriptor, owned } from '../rows/step-contract.js';

/** One manifest of the promoted graph that gets attachments. */
export const imageSchema = descriptor.extend({
  /** `linux/amd64`, or the media type of an artifact that is no image. */
  label: z.string(),
  /** True if it gets an SBOM. `why` is the reason if not. */
  sbom: z.boolean(),
  why: z.string().optional(),
});

/** Checks the evidence of others once. A long step. */
export const checkEvidenceContract = long(
  'checkEvidence',
  owned.extend({
    root: descriptor,
    /** The number of the check in its run, from 1. */
    look: z.number().int(),
  }),
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

/** Attaches SBOMs and signatures to the whole graph. A long step. */
export const attachContract = long(
  'attach',
  owned.extend({ root: digest }),
  z.object({
    /** One line for each attachment, new or existing; for a large graph only the numbers. */
    did: z.array(z.string()),
  }),
);

export type Image = z.infer<typeof imageSchema>;
