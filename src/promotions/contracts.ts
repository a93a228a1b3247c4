import { z } from 'zod';
import { ruleSchema } from '../rules/rule.js';
import { contract, digest, descriptor, tagName, owned, resultSchema } from '../rows/step-contract.js';
import { imageSchema } from '../evidence/contracts.js';
import { stretchCursorSchema, moreSchema } from '../transfer/contracts.js';

/** The run has the row, and what it is to do; or it doesn't, and ends. */
export const beginRunContract = contract(
  'beginRun',
  owned,
  z.discriminatedUnion('owned', [
    z.object({ owned: z.literal(false) }),
    z.object({
      owned: z.literal(true),
      wanted: z.number(),
      rule: ruleSchema,
      source: tagName,
      destination: z.string(),
    }),
  ]),
);

/** What stands at the source and at the destination. */
export const observeContract = contract(
  'observe',
  owned.extend({
    rule: ruleSchema,
    source: tagName,
    destination: z.string(),
    cursor: stretchCursorSchema.optional(),
  }),
  z.discriminatedUnion('state', [
    moreSchema,
    /** Nothing to promote under this tag: it names a referrer. */
    z.object({ state: z.literal('nothing'), code: z.string(), reason: z.string(), digest: digest.optional() }),
    /** A policy forbids it, for as long as the tag stands on this digest. */
    z.object({
      state: z.literal('refused'),
      code: z.string(),
      reason: z.string(),
      remedy: z.string().optional(),
      digest,
    }),
    z.object({
      state: z.literal('found'),
      root: descriptor,
      /** The root first, then its children. */
      images: z.array(imageSchema),
      /** What a run would change; empty: nothing differs. */
      differences: z.array(z.string()),
      /**
       * If the destination stands on this digest: the evidence policy under which it passed the gate before; null: none that is known.
       * Absent in histories of before, where the gate was not asked if nothing differed.
       */
      gatePassed: z.string().nullable().optional(),
    }),
  ]),
);

export const markWaitingContract = contract(
  'markWaiting',
  owned.extend({
    wanted: z.number(),
    event: z.string(),
    reasons: z.array(z.string()),
    /** For how long no push wakes the run, in milliseconds: it has looked often enough. */
    pauseMs: z.number().optional(),
  }),
  z.enum(['waiting', 'again', 'gone']),
);

/** The last step: the destination tag, under its lease. */
export const tagDestinationContract = contract(
  'tagDestination',
  owned.extend({ rule: ruleSchema, source: tagName, root: descriptor, destination: z.string() }),
  z.enum(['tagged', 'superseded', 'gone']),
);

export const closeRunContract = contract(
  'closeRun',
  owned.extend({
    rule: ruleSchema,
    source: tagName,
    destination: z.string(),
    wanted: z.number(),
    result: resultSchema,
    /** What the run did, for the receipt. */
    did: z.array(z.string()),
  }),
  z.enum(['closed', 'next', 'gone']),
);
