import type { Promotions } from '../ports/promotions.js';
import type { Runs } from '../ports/runs.js';
import { CopyError, InputError, RegistryError, planGraph, type CopyPlan, type Descriptor } from '../oci/index.js';
import { parsePlatform, selectPlatform } from '../oras/index.js';
import { writeDigest } from '../rows/run-digest.js';
import type { InputOf } from '../rows/step-contract.js';
import type { copyContract } from './contracts.js';
import type { CopyRequest } from './copy-request.js';
import { findPlan, keepPlan, planNameOf } from './kept-plan.js';
import { keepLeftBehind, leftBehindOf } from './left-behind.js';
import { longStep } from './long-step.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall, StepReply } from '../ports/step.js';
import type { StorePort } from '../ports/store.js';
import { readSourceTag } from './late-tag.js';
import { atSource } from './source-gone.js';

/** How long a referrer that is listed and not there keeps a copy from being planned, in milliseconds: a replica may be late. */
const LATE_REFERRERS_MS = 2 * 60_000;

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
): Promise<StepReply<CopyPlan | 'superseded'>> {
  const { signal, progress } = call;
  const { registry, repository } = request.source;
  // Only a promotion checks that its tag still names the root. A job copies everything, as `oras cp -r` does.
  const isPromotion = request.tag !== undefined;
  let root: Descriptor | undefined;
  if (request.tag !== undefined) {
    const tagged = { registry, repository, tag: request.tag };
    const run = call.run?.input;
    const row = run?.kind === 'promotion' ? (await ports.store.getPromotion(run.promotionId))?.value : undefined;
    ({ standing: root } = await readSourceTag(ports, tagged, row, call));
    if (root.digest !== input.root) return { done: 'superseded' };
  }
  const name = planNameOf(input.runId);
  const kept = await findPlan(ports, name);
  if (kept !== undefined) return { done: kept };
  root ??= await resolveRoot(ports, request, input, signal);
  const reply = await longStep(ports, 'planCopy', input, call, async (step) => {
    const { recursive, excludeArtifactTypes } = request;
    const planned = await atSource(() =>
      planGraph(step.repository(registry, repository), root, {
        recursive,
        artifactsOnly: isPromotion,
        excludeArtifactTypes,
        signal,
        onWalked: (done, total) => progress.nodes(done, total),
      }),
    );
    const unknown = planned.leftOut.filter(({ reason }) => reason === 'gone').map(({ digest }) => digest);
    // On the command line nobody waits.
    if (unknown.length > 0 && call.waitedMs !== undefined) {
      const forMs = ports.now().getTime() - step.since('referrers are unknown');
      if (forMs < LATE_REFERRERS_MS) throw referrersUnknown(`${registry}/${repository}`, unknown);
    }
    return planned;
  });
  if (!('done' in reply)) return reply;
  const keepLeft = async ({ leftOut }: CopyPlan): Promise<void> => {
    if (isPromotion) await keepLeftBehind(ports, input.runId, leftBehindOf(leftOut));
  };
  // Before the plan: a call that finds that does nothing more.
  await keepLeft(reply.done);
  const plan = await keepPlan(ports, name, reply.done);
  if (plan !== reply.done) await keepLeft(plan);
  const { blobCount, sizeBytes, manifests } = plan;
  progress.text(`${manifests.length} manifests, ${blobCount} blobs, ${sizeBytes} bytes`);
  return { done: plan };
}

/** Some are listed and not there: a replica is late, or the list is out of date. */
function referrersUnknown(source: string, unknown: readonly string[]): CopyError {
  const names = unknown.slice(0, 5).join(', ');
  return new CopyError(
    'REFERRER_UNKNOWN',
    `${source} lists ${unknown.length} referrers that it does not know: ${names}`,
    {
      transient: true,
      details: { unknown: unknown.slice(0, 100) },
      remedy:
        'Nothing: after two minutes the copy goes on without them, and the schedule brings them when they are there.',
    },
  );
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
