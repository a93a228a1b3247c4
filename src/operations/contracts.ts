import { z } from 'zod';
import {
  contract,
  digest,
  descriptor,
  tagName,
  credential,
  repositoryName,
  resultSchema,
} from '../rows/step-contract.js';
import { parts } from '../transfer/contracts.js';

/** A job's run begins: what it may do is checked here. */
export const beginJobContract = contract(
  'beginJob',
  z.object({ runId: z.string() }),
  z.discriminatedUnion('operation', [
    z.object({ operation: z.literal('promote'), source: tagName }),
    z.object({
      operation: z.literal('copy'),
      source: repositoryName,
      root: z.string(),
      recursive: z.boolean(),
      destination: repositoryName.extend({ tag: z.string().optional() }),
      /** Besides that of the destination. */
      moreTags: z.array(z.string()).optional(),
      /** What the copy must be. */
      digest: digest.optional(),
      platform: z.string().optional(),
      excludeArtifactTypes: z.array(z.string()).optional(),
      credential,
    }),
    /** Any other is one step. */
    z.object({ operation: z.literal('run'), name: z.string() }),
    /** The run isn't there: nobody asked for it. */
    z.object({ operation: z.literal('none') }),
  ]),
);

/** What is neither a promotion nor a copy: one operation of a job, whose output the step keeps itself. */
export const runOperationContract = contract(
  'runOperation',
  z.object({ runId: z.string(), label: z.string() }),
  z.object({ digest: digest.optional() }),
);

export const raisePromotionsContract = contract(
  'raisePromotions',
  z.object({ runId: z.string(), source: tagName }),
  z.array(z.object({ promotionId: z.string(), wanted: z.number() })).min(1),
);

/** Asks for `later` until every promotion has answered. */
export const awaitPromotionsContract = contract(
  'awaitPromotions',
  z.object({ runId: z.string(), promotions: z.array(z.object({ promotionId: z.string(), wanted: z.number() })) }),
  z.array(resultSchema),
);

export const tagCopyContract = contract(
  'tagCopy',
  z.object({
    runId: z.string(),
    root: descriptor,
    destination: repositoryName.extend({ tag: z.string().optional() }),
    /** Besides that of the destination. */
    moreTags: z.array(z.string()).optional(),
    credential,
    /** Of what the run's output is to tell. A copy that began before there was one tells nothing. */
    copied: z.object({ source: repositoryName, plan: z.string(), parts }).optional(),
  }),
  z.object({ digest }),
);

export const closeJobContract = contract('closeJob', z.object({ runId: z.string(), result: resultSchema }), z.null());
