import { z } from 'zod';
import { lookedSchema, long, digest, descriptor } from '../rows/steps.js';

/** Plans the copy of a run, of a promotion or of a job, and copies what the destination does not have. A long step. */
export const copyContract = long(
  'copy',
  z.object({
    runId: z.string(),
    /** Of a promotion: what its tag must still stand on. */
    root: digest.optional(),
  }),
  z.discriminatedUnion('state', [
    z.object({ state: z.literal('superseded') }),
    z.object({
      state: z.literal('copied'),
      root: descriptor,
      copied: z.number(),
      existed: z.number(),
      mounted: z.number(),
      bytes: z.number(),
      looked: lookedSchema.optional(),
    }),
  ]),
);

/** Asks the destination whether all has arrived that was copied, and puts again what it lost. A long step. */
export const verifyArrivalContract = long(
  'verifyArrival',
  z.object({ runId: z.string() }),
  z.object({ repaired: z.number() }),
);
