import type { Runs } from '../ports/runs.js';
import {
  CopyError,
  InputError,
  RegistryError,
  planGraph,
  splitPlan,
  type CopyPlan,
  type Descriptor,
  type ReadableRepository,
} from '../oci/index.js';
import { parsePlatform, selectPlatform } from '../oras/index.js';
import { writeDigest } from '../rows/run-digest.js';
import type { InputOf, ResultOf } from '../rows/step-contract.js';
import type { planCopyContract } from './contracts.js';
import { keepParts, keepPlan } from './kept-plan.js';
import { formatLeftBehind, keepLeftBehind, leftBehindOf } from './left-behind.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall } from '../ports/step.js';
import type { StorePort } from '../ports/store.js';
import { resolveTag } from './resolve-tag.js';
import { MissingAtSource, atSource, missingTag } from './source-gone.js';
import { inStretches, isMore } from './stretch.js';

/** How long a referrer that is listed and not there keeps a copy from being planned, in milliseconds: a replica may be late. */
const LATE_REFERRERS_MS = 2 * 60_000;

/**
 * Plans the copy of a graph with its referrers, in stretches, and keeps the plan as a document; where it is too much for one
 * activity, each of its parts as well, so that nobody who does one has to read them all.
 */
export async function planCopyStep(
  ports: Pick<Ports, 'registries' | 'documents' | 'copyParts' | 'stretch' | 'now'> & StorePort<Runs>,
  input: InputOf<typeof planCopyContract>,
  call: StepCall,
): Promise<ResultOf<typeof planCopyContract>> {
  const { signal, progress } = call;
  const { registry, repository } = input.source;
  // Only a promotion names the tag that must still stand; a job copies everything, as `oras cp -r` does.
  const isPromotion = input.tag !== undefined;
  const source = ports.registries.repository(registry, repository);
  if (input.tag !== undefined) {
    const name = { ...input.source, tag: input.tag };
    const standing = await resolveTag(ports, name, signal);
    if (standing === undefined) throw missingTag(name);
    if (standing.digest !== input.root) return { state: 'superseded' };
  }
  const named = await resolveRoot(source, input, signal);
  const root =
    input.platform === undefined
      ? named
      : await selectPlatform(source, named, parsePlatform(input.platform, ''), { signal });
  if (input.digest !== undefined && input.digest !== root.digest) {
    throw new InputError('DIGEST_MISMATCH', `${source.name} has ${root.digest}, not ${input.digest}`, {
      remedy: 'Copy to a tag, or to the digest that the source has.',
    });
  }
  await writeDigest(ports, input.runId, root.digest);
  const plan = await inStretches(ports, 'planCopy', input, call, async (registries) => {
    const { recursive, excludeArtifactTypes } = input;
    const planned = await atSource(() =>
      planGraph(registries.repository(registry, repository), root, {
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
      const forMs = ports.now().getTime() - registries.since('referrers are unknown');
      if (forMs < LATE_REFERRERS_MS) throw referrersUnknown(source.name, unknown);
    }
    return planned;
  });
  if (isMore(plan)) return plan;
  const name = `plans/${input.runId}.json`;
  const waves = splitPlan(plan, {
    ...ports.copyParts,
    mounts: input.destination?.registry === input.source.registry,
  });
  const isWhole = waves.length === 1 && waves[0]?.length === 1;
  await keepPlan(ports, name, isWhole ? plan : withoutBytes(plan));
  const parts = isWhole ? undefined : await keepParts(ports, input.runId, waves);
  const left = isPromotion ? leftBehindOf(plan.leftOut) : undefined;
  if (left) await keepLeftBehind(ports, input.runId, left);
  const manifests = plan.manifests.length;
  const { blobCount: blobs, sizeBytes: bytes } = plan;
  const count = waves.reduce((total, wave) => total + wave.length, 0);
  progress.text(
    `${manifests} manifests, ${blobs} blobs, ${bytes} bytes${isWhole ? '' : ` in ${count} parts, ${waves.length} waves`}${left ? formatLeftBehind(left) : ''}`,
  );
  const { mediaType, digest, size } = root;
  return {
    state: 'planned',
    plan: name,
    root: { mediaType, digest, size },
    manifests,
    blobs,
    bytes,
    ...(parts && { parts }),
  };
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

/** The parts carry the manifests; whoever has to put one again fetches it. */
function withoutBytes(plan: CopyPlan): CopyPlan {
  return { ...plan, manifests: plan.manifests.map(({ bytes: _carried, ...manifest }) => manifest) };
}

/** @throws InputError `SOURCE_NOT_FOUND` where a job asks for what isn't there; a promotion's was there just now. */
async function resolveRoot(
  source: ReadableRepository,
  { root, tag }: InputOf<typeof planCopyContract>,
  signal: AbortSignal,
): Promise<Descriptor> {
  try {
    return await source.resolve(root, { signal });
  } catch (error) {
    if (!(error instanceof RegistryError && error.notFound)) throw error;
    if (tag !== undefined) throw new MissingAtSource(error.message, error);
    throw new InputError('SOURCE_NOT_FOUND', `${source.name} has no ${root}`, {
      cause: error,
      remedy: 'Push it first, or correct the reference.',
    });
  }
}
