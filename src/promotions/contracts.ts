import { z } from 'zod';
import { ruleSchema } from '../rules/rule.js';
import { contract, long, digest, descriptor, lookedSchema, owned } from '../rows/step-contract.js';
import { runResultSchema } from '../rows/run-row.js';

/** Compares the source and the destination. A long step; its first call takes the row. */
export const observeContract = long(
  'observe',
  owned,
  z.discriminatedUnion('state', [
    z.object({ state: z.literal('gone') }),
    /** There is nothing to promote under this tag, or a policy forbids it as long as the tag has this digest. */
    z.object({
      state: z.enum(['nothing', 'refused']),
      generation: z.number(),
      code: z.string(),
      reason: z.string(),
      remedy: z.string().optional(),
      digest: digest.optional(),
    }),
    z.object({
      state: z.literal('found'),
      /** The generation that this run answers. It is read before anything is listed. */
      generation: z.number(),
      root: descriptor,
      /** What a run would change. Empty if nothing differs. */
      differences: z.array(z.string()),
      mode: ruleSchema.shape.mode,
      /**
       * `passed`: the rule requires no evidence of others, or the digest at the destination has passed under the same
       * rule.
       */
      gate: z.enum(['passed', 'closed']),
      /** Where SBOMs and signatures are attached. Absent if the rule has none. */
      attachTo: z.enum(['source', 'destination']).optional(),
      looked: lookedSchema.optional(),
    }),
  ]),
);

export const markWaitingContract = contract(
  'markWaiting',
  owned.extend({
    generation: z.number(),
    event: z.string(),
    reasons: z.array(z.string()),
    /** How long pushes do not notify the run, in milliseconds, because it has checked often enough. */
    pauseMs: z.number(),
  }),
  z.enum(['waiting', 'again', 'gone']),
);

export const closeRunContract = contract(
  'closeRun',
  owned.extend({
    /** The generation that the run answers. Absent if it has read none. */
    generation: z.number().optional(),
    result: runResultSchema,
    /** The actions of the run, for the receipt. */
    did: z.array(z.string()),
    /** Absent if the run did not look for referrers. */
    looked: lookedSchema.optional(),
  }),
  z.enum(['closed', 'next', 'gone']),
);
