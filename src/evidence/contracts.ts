import { z } from 'zod';
import { ruleSchema } from '../rules/rule.js';
import { contract, digest, descriptor, tagName, repositoryName, owned } from '../rows/step-contract.js';

/** One manifest of the promoted graph that gets something attached. */
export const imageSchema = descriptor.extend({
  /** `linux/amd64`, or the media type of what is no image. */
  label: z.string(),
  /** Whether it gets an SBOM, and why not. */
  sbom: z.boolean(),
  why: z.string().optional(),
});

/** Gate 1, looked at once. */
export const checkEvidenceContract = contract(
  'checkEvidence',
  owned.extend({ rule: ruleSchema, source: tagName, root: descriptor }),
  z.discriminatedUnion('state', [
    z.object({ state: z.literal('passed'), wanted: z.number() }),
    z.object({ state: z.literal('closed'), wanted: z.number(), reasons: z.array(z.string()), evidence: z.string() }),
    z.object({ state: z.literal('superseded') }),
    z.object({ state: z.literal('gone') }),
  ]),
);

export const attachSbomContract = contract(
  'attachSbom',
  owned.extend({
    /** As much of the rule as it takes: a call for each of a hundred images carries no trust store. */
    rule: z.object({ sign: ruleSchema.shape.sign }),
    source: tagName,
    image: imageSchema,
    /** Where the image is looked into and its SBOM attached: the source as it comes. */
    at: repositoryName.optional(),
    /** Of the promotion: an SBOM that is there and not at the source is brought back. */
    destination: z.string().optional(),
  }),
  z.object({ sbom: digest, made: z.boolean() }),
);

export const attachSignatureContract = contract(
  'attachSignature',
  owned.extend({
    source: repositoryName,
    subject: descriptor,
    label: z.string(),
    /** Where the subject is signed: the source as it comes. */
    at: repositoryName.optional(),
  }),
  z.object({ signature: digest, made: z.boolean() }),
);

export type Image = z.infer<typeof imageSchema>;
