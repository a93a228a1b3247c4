import { z } from 'zod';
import { contract, digest, descriptor, credential, repositoryName } from '../rows/step-contract.js';

/**
 * Where a step that takes several calls goes on: how many stretches are done, and since when it is at it, in milliseconds since 1970.
 * `again` is what whoever calls it knows of the calls so far, where one of them is still waited for.
 */
export const stretchCursorSchema = z.object({
  stretch: z.int().min(1),
  since: z.number(),
  again: z.unknown().optional(),
});

export type StretchCursor = z.infer<typeof stretchCursorSchema>;

/** So far; to be called again, with the cursor. What was found out is kept as documents. */
export const moreSchema = z.object({ state: z.literal('more'), cursor: stretchCursorSchema });

export type More = z.infer<typeof moreSchema>;

/** Documents of parts, and how many there are in each wave. */
export const parts = z.object({ folder: z.string(), waves: z.array(z.number().int().positive()) }).optional();

/** Plans the copy of a graph; the plan itself is a document. */
export const planCopyContract = contract(
  'planCopy',
  z.object({
    runId: z.string(),
    source: repositoryName,
    /** A tag or a digest. */
    root: z.string(),
    /** The tag that must still stand on `root`: a run whose tag has moved on plans nothing. */
    tag: z.string().optional(),
    recursive: z.boolean(),
    excludeArtifactTypes: z.array(z.string()),
    /** That child of an index. */
    platform: z.string().optional(),
    /** What the root must be, as it is copied. */
    digest: digest.optional(),
    credential,
    /** Where it is to go: in one registry blobs are mounted, and cost no time. */
    destination: repositoryName.optional(),
    cursor: stretchCursorSchema.optional(),
  }),
  z.discriminatedUnion('state', [
    moreSchema,
    z.object({ state: z.literal('superseded') }),
    z.object({
      state: z.literal('planned'),
      plan: z.string(),
      root: descriptor,
      manifests: z.number(),
      blobs: z.number(),
      bytes: z.number(),
      /** Where it is too much for one activity. */
      parts,
    }),
  ]),
);

/** Keeps what was done, for what a job has to show. */
const receipt = z.boolean().optional();

const copyInput = z.object({
  runId: z.string(),
  plan: z.string(),
  source: repositoryName,
  destination: repositoryName,
  credential,
  receipt,
});

export const copyCounts = z.object({
  copied: z.number(),
  existed: z.number(),
  mounted: z.number(),
  bytes: z.number(),
});

export const copyGraphContract = contract('copyGraph', copyInput, copyCounts);

/** One part of a copy that is too much for one activity; done again where it says that there is more. */
export const copyPartContract = contract(
  'copyPart',
  z.object({
    runId: z.string(),
    /** The part's document. */
    part: z.string(),
    label: z.string(),
    source: repositoryName,
    destination: repositoryName,
    credential,
    receipt,
  }),
  copyCounts.extend({ more: z.boolean() }),
);

export const verifyArrivalContract = contract(
  'verifyArrival',
  copyInput.extend({ cursor: stretchCursorSchema.optional() }),
  z.union([moreSchema, z.object({ repaired: z.number() })]),
);
