import { z } from 'zod';
import { ruleSchema } from '../rules/rule.js';
import { contract, long, digest, descriptor, lookedSchema, owned, resultSchema } from '../rows/steps.js';

/** What stands at the source and at the destination. A long step; its first call takes the row. */
export const observeContract = long(
  'observe',
  owned,
  z.discriminatedUnion('state', [
    z.object({ state: z.literal('gone') }),
    /** Nothing to promote under this tag, or a policy forbids it for as long as the tag stands on this digest. */
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
      /** The generation that this run answers: read before anything was listed. */
      generation: z.number(),
      root: descriptor,
      /** What a run would change; empty: nothing differs. */
      differences: z.array(z.string()),
      mode: ruleSchema.shape.mode,
      /** `passed`: the rule asks for no evidence of others, or what stands at the destination has passed by the same rule. */
      gate: z.enum(['passed', 'closed']),
      /** Where SBOMs and signatures are attached; absent if the rule wants none. */
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
    /** For how long no push wakes the run, in milliseconds: it has looked often enough. */
    pauseMs: z.number(),
  }),
  z.enum(['waiting', 'again', 'gone']),
);

/** The last step: the destination tag, under its lease. */
export const tagDestinationContract = contract(
  'tagDestination',
  owned.extend({ root: descriptor }),
  z.object({
    state: z.enum(['tagged', 'superseded', 'gone']),
    /** The destination. */
    reference: z.string(),
  }),
);

export const closeRunContract = contract(
  'closeRun',
  owned.extend({
    /** The generation that the run answers; absent if it has read none. */
    generation: z.number().optional(),
    result: resultSchema,
    /** What the run did, for the receipt. */
    did: z.array(z.string()),
    /** Absent if the run did not look for them. */
    looked: lookedSchema.optional(),
  }),
  z.enum(['closed', 'next', 'gone']),
);
