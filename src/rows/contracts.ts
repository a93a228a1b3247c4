import { z } from 'zod';
import { isDigest, type Descriptor, type Digest } from '../oci/index.js';
import { ruleSchema } from '../rules/rule.js';
import { OUTCOMES } from './rows.js';

/** Name, input and result of each step: all that orchestrations know of it. History is a boundary, so both are parsed. */
export interface StepContract<I extends z.ZodType, R extends z.ZodType> {
  /** The activity's name. */
  name: string;
  input: I;
  result: R;
  /** It may work for minutes: a process does only some such steps at once. */
  isLong: boolean;
}

function contract<I extends z.ZodType, R extends z.ZodType>(
  name: string,
  input: I,
  result: R,
  isLong = false,
): StepContract<I, R> {
  return { name, input, result, isLong };
}

/** A step that goes on from its checkpoints: it answers `{retryAfterMs: 0}` after some minutes, and is called again. */
const long = <I extends z.ZodType, R extends z.ZodType>(name: string, input: I, result: R): StepContract<I, R> =>
  contract(name, input, result, true);

const digest = z.custom<Digest>((value) => typeof value === 'string' && isDigest(value), 'not a digest');
const descriptor = z.object({
  mediaType: z.string(),
  digest,
  size: z.number().int().nonnegative(),
}) satisfies z.ZodType<Pick<Descriptor, 'mediaType' | 'digest' | 'size'>>;
const tagName = z.object({ registry: z.string(), repository: z.string(), tag: z.string() });

/** Which run asks: a write by a run that isn't the row's is refused. */
const owned = z.object({ promotionId: z.string(), runId: z.string() });
const resultSchema = z.object({
  outcome: z.enum(OUTCOMES),
  code: z.string().optional(),
  reason: z.string().optional(),
  remedy: z.string().optional(),
  evidence: z.string().optional(),
  digest: z.string().optional(),
});

/** One manifest of the promoted graph that gets something attached. */
export const imageSchema = descriptor.extend({
  /** `linux/amd64`, or the media type of what is no image. */
  label: z.string(),
  /** Whether it gets an SBOM, and why not. */
  sbom: z.boolean(),
  why: z.string().optional(),
});

/** What stands at the source and at the destination. A long step; its first call takes the row. */
export const observeContract = long(
  'observe',
  owned,
  z.discriminatedUnion('state', [
    z.object({ state: z.literal('gone') }),
    /** Nothing to promote under this tag, or a policy forbids it for as long as the tag stands on this digest. */
    z.object({
      state: z.enum(['nothing', 'refused']),
      wanted: z.number(),
      code: z.string(),
      reason: z.string(),
      remedy: z.string().optional(),
      digest: digest.optional(),
    }),
    z.object({
      state: z.literal('found'),
      /** The generation that this run answers: read before anything was listed. */
      wanted: z.number(),
      root: descriptor,
      /** What a run would change; empty: nothing differs. */
      differences: z.array(z.string()),
      mode: ruleSchema.shape.mode,
      /** `passed`: the rule asks for no evidence of others, or what stands at the destination has passed under the same policy. */
      gate: z.enum(['passed', 'closed']),
      /** Where SBOMs and signatures are attached; absent if the rule wants none. */
      attachTo: z.enum(['source', 'destination']).optional(),
    }),
  ]),
);

/** The evidence of others, looked at once. */
export const checkEvidenceContract = contract(
  'checkEvidence',
  owned.extend({ root: descriptor }),
  z.discriminatedUnion('state', [
    z.object({ state: z.literal('passed'), wanted: z.number() }),
    z.object({ state: z.literal('closed'), wanted: z.number(), reasons: z.array(z.string()), evidence: z.string() }),
    z.object({ state: z.literal('superseded') }),
    z.object({ state: z.literal('gone') }),
  ]),
);

export const markWaitingContract = contract(
  'markWaiting',
  owned.extend({
    wanted: z.number(),
    event: z.string(),
    reasons: z.array(z.string()),
    /** For how long no push wakes the run, in milliseconds: it has looked often enough. */
    pauseMs: z.number(),
  }),
  z.enum(['waiting', 'again', 'gone']),
);

/** SBOMs and signatures of the whole graph. A long step. */
export const attachContract = long(
  'attach',
  owned.extend({ root: digest }),
  z.object({
    /** What was attached and what was there, a line each; of a large graph the counts. */
    did: z.array(z.string()),
  }),
);

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
    }),
  ]),
);

/** Asks the destination whether all has arrived that was copied, and puts again what it lost. A long step. */
export const verifyArrivalContract = long(
  'verifyArrival',
  z.object({ runId: z.string() }),
  z.object({ repaired: z.number() }),
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
    wanted: z.number().optional(),
    result: resultSchema,
    /** What the run did, for the receipt. */
    did: z.array(z.string()),
  }),
  z.enum(['closed', 'next', 'gone']),
);

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

export const raisePromotionsContract = contract(
  'raisePromotions',
  z.object({ runId: z.string(), source: tagName }),
  z.array(z.object({ promotionId: z.string(), wanted: z.number() })).min(1),
);

/** Asks to be called again until every promotion has answered. */
export const awaitPromotionsContract = contract(
  'awaitPromotions',
  z.object({ runId: z.string(), promotions: z.array(z.object({ promotionId: z.string(), wanted: z.number() })) }),
  z.array(resultSchema),
);

/** A job's tags, and what it has to show. */
export const tagCopyContract = contract(
  'tagCopy',
  z.object({ runId: z.string(), root: descriptor }),
  z.object({ digest }),
);

export const closeJobContract = contract('closeJob', z.object({ runId: z.string(), result: resultSchema }), z.null());

/** One part of the schedule's walk: the rows that are open, then the tags of each rule, from a cursor on. */
export const walkScheduleContract = contract(
  'walkSchedule',
  z.object({ cursor: z.string().nullable(), started: z.number() }),
  z.object({
    cursor: z.string().nullable(),
    started: z.number(),
    looked: z.number(),
    /** What could not be looked at: a line each. */
    problems: z.array(z.string()).default([]),
  }),
);

export type ResultOf<C> = C extends StepContract<z.ZodType, infer R> ? z.infer<R> : never;
export type InputOf<C> = C extends StepContract<infer I, z.ZodType> ? z.infer<I> : never;
export type Image = z.infer<typeof imageSchema>;
