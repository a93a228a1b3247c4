import type { Promotions } from '../ports/promotions.js';
import type { Runs } from '../ports/runs.js';
import { InputError, RegistryError, planGraph, type CopyPlan, type Descriptor } from '../oci/index.js';
import { parsePlatform, selectPlatform } from '../oras/index.js';
import type { Looked, News } from '../rows/news.js';
import { writeDigest } from '../rows/run-digest.js';
import type { InputOf } from '../rows/step-contract.js';
import { attachedBy, withAttached } from './attached.js';
import type { copyContract } from './contracts.js';
import type { CopyRequest } from './copy-request.js';
import { findPlan, keepPlan, planNameOf } from './kept-plan.js';
import { longStep } from './long-step.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall, StepReply } from '../ports/step.js';
import type { StorePort } from '../ports/store.js';
import { awaitReferrers, lookIn, type Walked } from './late-referrers.js';
import { readSourceTag } from './late-tag.js';
import { atSource } from './source-gone.js';

/** A plan, and what it has of the referrers that triggers have named. */
export interface PlannedCopy {
  plan: CopyPlan;
  looked: Looked;
}

/**
 * Plans the copy of a run's graph with its referrers, and keeps the plan as a document. A run plans once; each call looks at the tag.
 * @returns `superseded` if the tag of a promotion has moved on
 * @throws InputError `DIGEST_MISMATCH`, `SOURCE_NOT_FOUND`; CopyError `REFERRER_UNKNOWN`, `GRAPH_TOO_LARGE`; PromoterError `STEP_STUCK`
 */
export async function planCopy(
  ports: Pick<Ports, 'registries' | 'documents' | 'callBounds' | 'now'> & StorePort<Runs & Promotions>,
  request: CopyRequest,
  input: InputOf<typeof copyContract>,
  call: StepCall,
): Promise<StepReply<PlannedCopy | 'superseded'>> {
  const { signal, progress } = call;
  const { registry, repository } = request.source;
  // Only a promotion checks that its tag still names the root. A job copies everything, as `oras cp -r` does.
  const isPromotion = request.tag !== undefined;
  let root: Descriptor | undefined;
  let news: News | undefined;
  if (request.tag !== undefined) {
    const tagged = { registry, repository, tag: request.tag };
    const run = call.run?.input;
    const row = run?.kind === 'promotion' ? (await ports.store.getPromotion(run.promotionId))?.value : undefined;
    ({ read: root } = await readSourceTag(ports, tagged, row, call));
    news = row?.news;
    if (root.digest !== input.root) return { done: 'superseded' };
  }
  const name = planNameOf(input.runId);
  const kept = await findPlan(ports, name);
  if (kept !== undefined) return { done: { plan: kept, looked: lookIn(walkedOf(kept), news) } };
  const attached = isPromotion ? await attachedBy(ports, input.runId) : [];
  root ??= await resolveRoot(ports, request, input, signal);
  const reply = await longStep(ports, 'planCopy', input, call, async (step) => {
    const { recursive, excludeArtifactTypes } = request;
    const from = step.repository(registry, repository);
    const options = { artifactsOnly: isPromotion, excludeArtifactTypes, signal };
    const onWalked = (done: number, total: number): void => progress.nodes(done, total);
    const listed = await atSource(() => planGraph(from, root, { ...options, recursive, onWalked }));
    const planned = await withAttached(from, listed, attached, options);
    awaitReferrers(ports, step, walkedOf(planned), news, call);
    return planned;
  });
  if (!('done' in reply)) return reply;
  const plan = await keepPlan(ports, name, reply.done);
  const { blobCount, sizeBytes, manifests } = plan;
  progress.text(`${manifests.length} manifests, ${blobCount} blobs, ${sizeBytes} bytes`);
  return { done: { plan, looked: lookIn(walkedOf(plan), news) } };
}

function walkedOf({ source, manifests, leftOut }: CopyPlan): Walked {
  return { name: source, digests: new Set(manifests.map(({ descriptor }) => descriptor.digest)), leftOut };
}

/** What a job copies. @throws InputError `SOURCE_NOT_FOUND`, `DIGEST_MISMATCH` */
async function resolveRoot(
  ports: Pick<Ports, 'registries'> & StorePort<Runs>,
  request: CopyRequest,
  { runId }: InputOf<typeof copyContract>,
  signal: AbortSignal,
): Promise<Descriptor> {
  const source = ports.registries.repository(request.source.registry, request.source.repository);
  const asked = request.root;
  let named: Descriptor;
  try {
    named = await source.resolve(asked, { signal });
  } catch (error) {
    if (!(error instanceof RegistryError && error.notFound)) throw error;
    throw new InputError('SOURCE_NOT_FOUND', `${source.name} has no ${asked}`, {
      cause: error,
      remedy: 'Push it first, or correct the reference.',
    });
  }
  const root =
    request.platform === undefined
      ? named
      : await selectPlatform(source, named, parsePlatform(request.platform, ''), { signal });
  if (request.digest !== undefined && request.digest !== root.digest) {
    throw new InputError('DIGEST_MISMATCH', `${source.name} has ${root.digest}, not ${request.digest}`, {
      remedy: 'Copy to a tag, or to the digest that the source has.',
    });
  }
  await writeDigest(ports, runId, root.digest);
  return root;
}
