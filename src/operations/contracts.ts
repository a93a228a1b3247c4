import { z } from 'zod';
import { contract, long, digest, descriptor } from '../rows/step-contract.js';
import { runResultSchema, sourceTagSchema } from '../rows/run-row.js';

/** The first step of a job. It checks whether the app allows the job. */
export const beginJobContract = contract(
  'beginJob',
  z.object({ runId: z.string() }),
  z.discriminatedUnion('operation', [
    z.object({ operation: z.literal('promote'), source: sourceTagSchema }),
    z.object({ operation: z.literal('copy') }),
    /** All other operations have one step. */
    z.object({ operation: z.literal('run'), name: z.string() }),
    /** The run does not exist or has ended. */
    z.object({ operation: z.literal('none') }),
  ]),
);

/** The step of every operation except promote and copy. It stores the output itself. */
export const runOperationContract = long(
  'runOperation',
  z.object({ runId: z.string(), label: z.string() }),
  z.object({ digest: digest.optional() }),
);

export const incrementPromotionsContract = contract(
  'incrementPromotions',
  z.object({ runId: z.string(), source: sourceTagSchema }),
  z.array(z.object({ promotionId: z.string(), generation: z.number() })).min(1),
);

/** Called again until every promotion has an outcome. */
export const awaitPromotionsContract = contract(
  'awaitPromotions',
  z.object({ runId: z.string(), promotions: z.array(z.object({ promotionId: z.string(), generation: z.number() })) }),
  z.array(runResultSchema),
);

/** Sets the tags of a job's copy, and stores its output. */
export const tagCopyContract = contract(
  'tagCopy',
  z.object({ runId: z.string(), root: descriptor }),
  z.object({ digest }),
);

export const closeJobContract = contract(
  'closeJob',
  z.object({ runId: z.string(), result: runResultSchema }),
  z.null(),
);
