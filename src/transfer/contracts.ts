import { z } from 'zod';
import { contract, lookedSchema, long, digest, descriptor, owned } from '../rows/step-contract.js';

/** Plans the copy of a run (of a promotion or a job) and copies what the destination lacks. A long step. */
export const copyContract = long(
  'copy',
  z.object({
    runId: z.string(),
    /** Only for a promotion: the digest that its tag must still name. */
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

/** Checks that everything that was copied is at the destination, and pushes again what is missing. A long step. */
export const verifyArrivalContract = long(
  'verifyArrival',
  z.object({ runId: z.string() }),
  z.object({ repaired: z.number() }),
);

/** The step after which only the close follows: sets the destination tag, under its lease. */
export const tagDestinationContract = contract(
  'tagDestination',
  owned.extend({ root: descriptor }),
  z.object({
    state: z.enum(['tagged', 'superseded', 'gone']),
    /** The destination tag. */
    reference: z.string(),
  }),
);
