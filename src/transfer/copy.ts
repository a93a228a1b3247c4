import type { OpenedPromotion } from '../rows/row-writes.js';
import type { Promotions } from '../ports/promotions.js';
import type { Runs } from '../ports/runs.js';
import { z } from 'zod';
import {
  CopyError,
  copyGraph,
  mapConcurrently,
  parseReference,
  movePart,
  type CopyPlan,
  type CopyReport,
  type Descriptor,
  type OpenUpload,
  type Repository,
  verifyArrival,
} from '../oci/index.js';
import type { InputOf, ResultOf } from '../rows/step-contract.js';
import type { copyContract, verifyArrivalContract } from './contracts.js';
import { keepReport, formatLeftBehind, leftBehindOf, keepArrival, planNameOf, readPlan } from './run-documents.js';
import { longStep, type LongStep } from './long-step.js';
import { planCopy } from './plan-copy.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall, StepReply } from '../ports/step.js';
import type { StorePort } from '../ports/store.js';
import { writeAtDestination } from './registry-access.js';
import { setTimeout as sleep } from 'node:timers/promises';

/** What a run copies, and its destination: for a promotion from its rule, for a job from its request. */
export interface CopyRequest {
  source: { registry: string; repository: string };
  /** A tag or a digest. */
  root: string;
  /** Only for a promotion: the tag that must still name the root. If the tag has moved, nothing is copied. */
  tag?: string;
  recursive: boolean;
  excludeArtifactTypes: readonly string[];
  /** Copies only the child of an index for this platform. */
  platform?: string;
  /** The digest that the root must have. */
  digest?: string;
  destination: { registry: string; repository: string };
  /** The tags that a job sets. */
  tags?: readonly string[];
  /** True if a report with each node is stored, for the output of a job. */
  receipt?: boolean;
}

/** The copy of a promotion's run: its tag, with the referrers that its rule does not exclude. */
export function copyRequestOfPromotion({ source, destination, rule }: OpenedPromotion): CopyRequest {
  const { registry, repository } = parseReference(destination);
  return {
    source: { registry: source.registry, repository: source.repository },
    root: source.tag,
    tag: source.tag,
    recursive: true,
    excludeArtifactTypes: rule.referrers.excludeArtifactTypes,
    destination: { registry, repository },
  };
}

/**
 * A blob with more bytes is uploaded in chunks, and the upload continues after a crash. At 2.5 MB/s, this size takes
 * two minutes. Setting: `COPY_PART_BYTES`
 */
export const LARGE_BLOB_BYTES = 256 * 1024 * 1024;

/**
 * After a call that was broken off, blobs of this share of {@link LARGE_BLOB_BYTES} (16 MiB) are uploaded in chunks, too:
 * together they may take longer than one call has.
 */
const SMALLER_SHARE = 1 / 16;

/** Maximum large blobs that are copied at once. */
const LARGE_AT_ONCE = 3;

type Result = ResultOf<typeof copyContract>;

/**
 * Plans a copy, and copies what the destination lacks. Blobs are mounted within one registry and streamed between two.
 * Content that is already there is not sent again, and what an earlier call has copied is not checked again.
 * @throws CopyError; PolicyError `DESTINATION_LOCKED`; PromoterError `STEP_STUCK`; as {@link planCopy}
 */
export async function copyStep(
  ports: Pick<Ports, 'registries' | 'documents' | 'callBounds' | 'now'> & StorePort<Runs & Promotions>,
  request: CopyRequest,
  input: InputOf<typeof copyContract>,
  call: StepCall,
): Promise<StepReply<Result>> {
  const startedMs = performance.now();
  const planned = await planCopy(ports, request, input, call);
  if (!('done' in planned)) return planned;
  if (planned.done === 'superseded') return { done: { state: 'superseded' } };
  // Too little time is left in this call to begin the copy.
  if (performance.now() - startedMs > ports.callBounds.ms / 2) return { retryAfterMs: 0 };
  const { plan, looked } = planned.done;
  const { source, destination } = request;
  const from = ports.registries.repository(source.registry, source.repository);
  const mountFrom = source.registry === destination.registry ? [source.repository] : [];
  const reply = await longStep(ports, 'copy', input, call, (step) => {
    const to = step.repository(destination.registry, destination.repository);
    return writeAtDestination(to.name, async () => {
      const large = await moveLarge(ports, step, plan, request, call);
      return copyRest(plan, { from, to, mountFrom }, large, call);
    });
  });
  if (!('done' in reply)) return reply;
  const report = request.receipt === true ? await keepReport(ports, input.runId, reply.done) : reply.done;
  const { mediaType, digest, size } = plan.root;
  const counts = {
    copied: report.copied.length,
    existed: report.existed.length,
    mounted: report.mounted.length,
    bytes: report.movedBytes,
  };
  // A job leaves out no referrers.
  const left = request.tag === undefined ? '' : formatLeftBehind(leftBehindOf(plan.leftOut));
  call.progress.text(
    `${counts.copied} copied, ${counts.mounted} mounted, ${counts.existed} were there, ${counts.bytes} bytes moved${left}`,
  );
  const named = looked.seen.length + looked.unseen.length > 0 ? { looked } : {};
  return { done: { state: 'copied', root: { mediaType, digest, size }, ...counts, ...named } };
}

/** Copies the manifests and all blobs except those that the large uploads have copied. */
async function copyRest(
  plan: CopyPlan,
  { from, to, mountFrom }: { from: Repository; to: Repository; mountFrom: string[] },
  large: ReadonlyMap<string, LargeBlob>,
  { signal, progress }: StepCall,
): Promise<CopyReport> {
  const largeBytes = sizeOf(large);
  const report = await copyGraph(plan, from, to, {
    mountFrom,
    signal,
    // An earlier call may have copied what a later one found there.
    arrivedBefore: (digest) => (large.get(digest)?.arrived === 'existed' ? undefined : large.get(digest)?.arrived),
    onProgress: ({ doneBytes, totalBytes, nodesDone, nodesTotal }) => {
      progress.bytes(Math.max(largeBytes, doneBytes), totalBytes);
      progress.nodes(nodesDone, nodesTotal);
    },
  });
  progress.bytes(plan.sizeBytes, plan.sizeBytes);
  // Of what earlier calls copied, too.
  const movedBytes = report.copied.reduce((sum, { size }) => sum + size, 0);
  return { ...report, movedBytes };
}

const uploadSchema = z.object({
  upload: z.object({
    url: z.string(),
    receivedBytes: z.number().int().nonnegative(),
    chunkBytes: z.number().int().positive(),
    restarts: z.number().int().nonnegative(),
  }),
});
const arrivedSchema = z.object({ arrived: z.enum(['copied', 'existed', 'mounted']) });
/** A large blob that has arrived. */
type LargeBlob = z.infer<typeof arrivedSchema> & { size: number };

/** The bytes of the large blobs that have arrived, copied or not. */
function sizeOf(large: ReadonlyMap<string, LargeBlob>): number {
  return [...large.values()].reduce((sum, { size }) => sum + size, 0);
}

/**
 * Copies the large blobs of a plan. Each upload continues where it stopped. Its state is stored after each chunk, so a
 * crash costs one chunk.
 */
async function moveLarge(
  ports: Pick<Ports, 'registries' | 'callBounds'>,
  step: LongStep,
  plan: CopyPlan,
  { source, destination }: CopyRequest,
  { signal, progress }: StepCall,
): Promise<Map<string, LargeBlob>> {
  const { largeBlobBytes } = ports.callBounds;
  const blobs = largeBlobsOf(plan, step.wasBrokenOff ? largeBlobBytes * SMALLER_SHARE : largeBlobBytes);
  const from = ports.registries.repository(source.registry, source.repository);
  const to = ports.registries.repository(destination.registry, destination.repository);
  const mountFrom = source.registry === destination.registry ? [source.repository] : [];
  /** Bytes of the blobs that are being copied. */
  const received = new Map<string, number>();
  const done = new Map<string, LargeBlob>();
  for (const { digest, size } of blobs) {
    const arrived = arrivedSchema.safeParse(step.stateOf(uploadOf(digest))).data;
    if (arrived !== undefined) done.set(digest, { ...arrived, size });
  }
  const left = blobs.filter(({ digest }) => !done.has(digest));
  await mapConcurrently(left, LARGE_AT_ONCE, async (blob) => {
    if (step.isTimeUp) return;
    const what = uploadOf(blob.digest);
    const kept: OpenUpload | undefined = uploadSchema.safeParse(step.stateOf(what)).data?.upload;
    const moved = await movePart(blob, from, to, {
      signal,
      mountFrom,
      ...(kept && { from: kept }),
      isEnough: () => step.isTimeUp,
      onReached: async (upload) => {
        received.set(blob.digest, upload.receivedBytes);
        const underWay = [...received.values()].reduce((sum, bytes) => sum + bytes, 0);
        progress.bytes(sizeOf(done) + underWay, plan.sizeBytes);
        step.setState(what, { upload });
        await step.keep();
      },
    }).catch((error: unknown) => {
      // The registry has lost the upload. The next call starts a new one.
      if (error instanceof CopyError && error.code === 'UPLOAD_LOST') step.setState(what, {});
      throw error;
    });
    if (moved.state === 'more') return;
    step.setState(what, { arrived: moved.state });
    await step.keep();
    received.delete(blob.digest);
    done.set(blob.digest, { arrived: moved.state, size: blob.size });
  });
  if (done.size < blobs.length) await step.goOnLater();
  return done;
}

const uploadOf = (digest: string): string => `upload ${digest}`;

function largeBlobsOf(plan: CopyPlan, overBytes: number): Descriptor[] {
  const blobs = plan.manifests.flatMap((manifest) => manifest.blobs);
  const large = blobs.filter(({ size }) => size > overBytes);
  return [...new Map(large.map((blob) => [blob.digest, blob])).values()];
}

/**
 * Checks that everything that was copied is at the destination. Pushes what is missing again, one by one.
 * @throws CopyError `MANIFEST_LOST`, `REFERRER_LOST`, `TAG_LOST`; PolicyError `DESTINATION_LOCKED`
 */
export async function verifyArrivalStep(
  ports: Pick<Ports, 'registries' | 'documents' | 'callBounds' | 'now'>,
  { source, destination, receipt }: CopyRequest,
  input: InputOf<typeof verifyArrivalContract>,
  call: StepCall,
): Promise<StepReply<ResultOf<typeof verifyArrivalContract>>> {
  const { signal, progress } = call;
  const plan = await readPlan(ports, planNameOf(input.runId));
  const arrived = await longStep(ports, 'verifyArrival', input, call, (step) => {
    const to = (round?: number) => step.repository(destination.registry, destination.repository, round);
    const verify = () =>
      verifyArrival(plan, to(), {
        source: step.repository(source.registry, source.repository),
        after: async (round, waitMs) => {
          await step.once(`pause ${round}`, () => sleep(waitMs, null, { signal }));
          return to(round);
        },
        signal,
        onAsked: (done, total) => progress.nodes(done, total),
      });
    return writeAtDestination(to().name, verify);
  });
  if (!('done' in arrived)) return arrived;
  if (receipt === true) await keepArrival(ports, input.runId, arrived.done);
  const { restored } = arrived.done;
  progress.text(restored.length === 0 ? 'all there' : `${restored.length} put again`);
  return { done: { repaired: restored.length } };
}
