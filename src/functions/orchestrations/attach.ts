import type { OrchestrationContext, Task } from 'durable-functions';
import { z } from 'zod';
import { attachSbomContract, attachSignatureContract, imageSchema, type Image } from '../../evidence/contracts.js';
import { stepAll, type StepContext } from './step.js';
import { answered, callSub, subInput, type SubAnswer } from './sub-orchestration.js';

/** Images of one orchestration, each with two activities: replaying is quadratic in them. */
const MOST_IMAGES = 40;

const attachSchema = attachSbomContract.input.omit({ image: true }).extend({
  images: z.array(imageSchema),
  /** Whether images get an SBOM. */
  sboms: z.boolean(),
});
export type Attach = z.infer<typeof attachSchema>;

const inputSchema = attachSchema.extend(subInput.shape);
const countSchema = z.object({ made: z.number(), found: z.number() });
const countsSchema = z.object({ sboms: countSchema, signatures: countSchema });

interface Attached {
  digest: string;
  made: boolean;
  label: string;
}

/**
 * SBOMs first, then our signatures over the images, the root among them. A large index is spread over sub-orchestrations.
 * @returns what was done, a line for each; for a large index, how many. @throws StepFailed
 */
export function* attachAll(context: StepContext, attach: Attach): Generator<Task, string[], unknown> {
  const { images, runId } = attach;
  if (images.length <= MOST_IMAGES) {
    const { sboms, signatures } = yield* attachSome(context, attach);
    return [...sboms.map(lineOf('SBOM')), ...signatures.map(lineOf('signature'))];
  }
  const all = { sboms: { made: 0, found: 0 }, signatures: { made: 0, found: 0 } };
  for (let sub = 0; sub * MOST_IMAGES < images.length; sub += 1) {
    const some = { ...attach, images: images.slice(sub * MOST_IMAGES, (sub + 1) * MOST_IMAGES) };
    const counts = yield* callSub(context, 'attachImages', countsSchema, some, `${runId}-attach-${sub}`);
    for (const kind of ['sboms', 'signatures'] as const) {
      all[kind].made += counts[kind].made;
      all[kind].found += counts[kind].found;
    }
  }
  return Object.entries(all).flatMap(([kind, { made, found }]) =>
    made + found === 0 ? [] : [`attached ${made} ${kind === 'sboms' ? 'SBOMs' : kind}, ${found} were there`],
  );
}

/** Some images of a large index: counts, so that history doesn't grow with what is attached. */
export function* attachImages(
  context: OrchestrationContext,
): Generator<Task, SubAnswer<z.infer<typeof countsSchema>>, unknown> {
  const input = inputSchema.parse(context.df.getInput());
  return yield* answered(context, input, function* (waiting) {
    const { sboms, signatures } = yield* attachSome(waiting, input);
    return { sboms: countOf(sboms), signatures: countOf(signatures) };
  });
}

function* attachSome(
  context: StepContext,
  { images, sboms: wanted, rule, destination, ...where }: Attach,
): Generator<Task, { sboms: Attached[]; signatures: Attached[] }, unknown> {
  const owner = { promotionId: where.promotionId, runId: where.runId, source: where.source };
  const common = { ...owner, ...(where.at !== undefined && { at: where.at }) };
  const described = wanted ? images.filter((image) => image.sbom) : [];
  const sboms = yield* stepAll(
    context,
    attachSbomContract,
    described.map((image) => ({ ...common, rule, image, ...(destination !== undefined && { destination }) })),
  );
  const signed = rule.sign.length > 0 ? images : [];
  const signatures = yield* stepAll(
    context,
    attachSignatureContract,
    signed.map(({ label, sbom: _sbom, why: _why, ...subject }) => ({ ...common, subject, label })),
  );
  const labelOf = (of: readonly Image[], index: number): string => of[index]?.label ?? '';
  return {
    sboms: sboms.map(({ sbom, made }, index) => ({ digest: sbom, made, label: labelOf(described, index) })),
    signatures: signatures.map(({ signature, made }, index) => ({
      digest: signature,
      made,
      label: labelOf(signed, index),
    })),
  };
}

function lineOf(kind: string): (attached: Attached) => string {
  return ({ digest, made, label }) => `${made ? 'attached' : 'found'} ${kind} ${digest} of ${label}`;
}

function countOf(attached: readonly Attached[]): z.infer<typeof countSchema> {
  const made = attached.filter((each) => each.made).length;
  return { made, found: attached.length - made };
}
