import { z } from 'zod';
import { contract, long, digest, descriptor, tagName, resultSchema } from '../rows/steps.js';

/** A job's run begins: what it may do is checked here. */
export const beginJobContract = contract(
  'beginJob',
  z.object({ runId: z.string() }),
  z.discriminatedUnion('operation', [
    z.object({ operation: z.literal('promote'), source: tagName }),
    z.object({ operation: z.literal('copy') }),
    /** Any other is one step. */
    z.object({ operation: z.literal('run'), name: z.string() }),
    /** The run isn't there: nobody asked for it. */
    z.object({ operation: z.literal('none') }),
  ]),
);

/** What is neither a promotion nor a copy: one operation of a job, whose output the step keeps itself. */
export const runOperationContract = long(
  'runOperation',
  z.object({ runId: z.string(), label: z.string() }),
  z.object({ digest: digest.optional() }),
);

export const incrementPromotionsContract = contract(
  'incrementPromotions',
  z.object({ runId: z.string(), source: tagName }),
  z.array(z.object({ promotionId: z.string(), generation: z.number() })).min(1),
);

/** Asks to be called again until every promotion has answered. */
export const awaitPromotionsContract = contract(
  'awaitPromotions',
  z.object({ runId: z.string(), promotions: z.array(z.object({ promotionId: z.string(), generation: z.number() })) }),
  z.array(resultSchema),
);

/** A job's tags, and what it has to show. */
export const tagCopyContract = contract(
  'tagCopy',
  z.object({ runId: z.string(), root: descriptor }),
  z.object({ digest }),
);

export const closeJobContract = contract('closeJob', z.object({ runId: z.string(), result: resultSchema }), z.null());
