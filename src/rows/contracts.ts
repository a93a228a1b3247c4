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
}

function contract<I extends z.ZodType, R extends z.ZodType>(name: string, input: I, result: R): StepContract<I, R> {
  return { name, input, result };
}

const digest = z.custom<Digest>((value) => typeof value === 'string' && isDigest(value), 'not a digest');
const descriptor = z.object({
  mediaType: z.string(),
  digest,
  size: z.number().int().nonnegative(),
}) satisfies z.ZodType<Pick<Descriptor, 'mediaType' | 'digest' | 'size'>>;
const tagName = z.object({ registry: z.string(), repository: z.string(), tag: z.string() });
/** The name of a job's credential: its registries are signed in to with it. As it comes the app's identity. */
const credential = z.string().optional();
const repositoryName = z.object({ registry: z.string(), repository: z.string() });

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
const moreSchema = z.object({ state: z.literal('more'), cursor: stretchCursorSchema });
export type More = z.infer<typeof moreSchema>;

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

/** One manifest of the promoted graph that gets something attached. */
export const imageSchema = descriptor.extend({
  /** `linux/amd64`, or the media type of what is no image. */
  label: z.string(),
  /** Whether it gets an SBOM, and why not. */
  sbom: z.boolean(),
  why: z.string().optional(),
});

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

/** Gate 1, looked at once. */
export const checkEvidenceContract = contract(
  'checkEvidence',
  owned.extend({ rule: ruleSchema, source: tagName, root: descriptor }),
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
    pauseMs: z.number().optional(),
  }),
  z.enum(['waiting', 'again', 'gone']),
);

export const attachSbomContract = contract(
  'attachSbom',
  owned.extend({
    /** As much of the rule as it takes: a call for each of a hundred images carries no trust store. */
    rule: z.object({ sign: ruleSchema.shape.sign }),
    source: tagName,
    image: imageSchema,
    /** Where the image is looked into and its SBOM attached: the source as it comes. */
    at: repositoryName.optional(),
    /** Of the promotion: an SBOM that is there and not at the source is brought back. */
    destination: z.string().optional(),
  }),
  z.object({ sbom: digest, made: z.boolean() }),
);

export const attachSignatureContract = contract(
  'attachSignature',
  owned.extend({
    source: repositoryName,
    subject: descriptor,
    label: z.string(),
    /** Where the subject is signed: the source as it comes. */
    at: repositoryName.optional(),
  }),
  z.object({ signature: digest, made: z.boolean() }),
);

/** Documents of parts, and how many there are in each wave. */
const parts = z.object({ folder: z.string(), waves: z.array(z.number().int().positive()) }).optional();

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

/** One stretch of the schedule's walk: the rows that are open, then the tags of each rule, from a cursor on. */
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
