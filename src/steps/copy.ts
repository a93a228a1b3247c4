import { z } from 'zod';
import {
  copyGraph,
  mapConcurrently,
  moveStretch,
  type Arrival,
  type CopiedNode,
  type CopyPlan,
  type CopyReport,
  type Descriptor,
  type OpenUpload,
  type Repository,
} from '../oci/index.js';
import type { InputOf, ResultOf, copyContract } from './contracts.js';
import type { CopyRequest } from './copy-request.js';
import { keepReport } from './copy-report.js';
import { longStep, type LongStep } from './long-step.js';
import { formatLeftBehind, leftBehindOf } from './left-behind.js';
import { planCopy } from './plan-copy.js';
import type { Ports, StepCall, StepReply, StorePort } from './ports.js';
import { writeAtDestination } from './refused-write.js';

/** Large blobs that are moved at once. */
const LARGE_AT_ONCE = 3;

type Result = ResultOf<typeof copyContract>;

/**
 * Plans a copy, and copies what the destination does not have: in one registry blobs are mounted, between two they are streamed. What is
 * there stays, and what an earlier call has moved is not asked for again.
 * @throws CopyError; PolicyError `DESTINATION_LOCKED`; PromoterError `STEP_STUCK`; as {@link planCopy}
 */
export async function copyStep(
  ports: Pick<Ports, 'registries' | 'documents' | 'callBounds' | 'now'> & StorePort<'getRun' | 'replaceRun'>,
  request: CopyRequest,
  input: InputOf<typeof copyContract>,
  call: StepCall,
): Promise<StepReply<Result>> {
  const startedMs = performance.now();
  const planned = await planCopy(ports, request, input, call);
  if (!('done' in planned)) return planned;
  if (planned.done === 'superseded') return { done: { state: 'superseded' } };
  // What is left of this call is too little to begin with.
  if (performance.now() - startedMs > ports.callBounds.ms / 2) return { retryAfterMs: 0 };
  const plan = planned.done;
  const { source, destination } = request;
  const from = ports.registries.repository(source.registry, source.repository);
  const mountFrom = source.registry === destination.registry ? [source.repository] : [];
  const reply = await longStep(ports, 'copy', input, call, (step) => {
    const to = step.repository(destination.registry, destination.repository);
    return writeAtDestination(to.name, async () => {
      const large = await moveLarge(ports, step, plan, request, call);
      const report = await copyRest(step, plan, { from, to, mountFrom }, call);
      return withLarge(report, large);
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
  // A job takes everything along.
  const left = request.tag === undefined ? '' : formatLeftBehind(leftBehindOf(plan.leftOut));
  call.progress.text(
    `${counts.copied} copied, ${counts.mounted} mounted, ${counts.existed} were there, ${counts.bytes} bytes moved${left}`,
  );
  return { done: { state: 'copied', root: { mediaType, digest, size }, ...counts } };
}

/** Manifests and all blobs that are there or small. */
async function copyRest(
  step: LongStep,
  plan: CopyPlan,
  { from, to, mountFrom }: { from: Repository; to: Repository; mountFrom: string[] },
  { signal, progress }: StepCall,
): Promise<CopyReport> {
  let movedBytes = z.number().catch(0).parse(step.noted(MOVED));
  const report = await copyGraph(plan, from, to, {
    mountFrom,
    signal,
    onProgress: ({ moreBytes = 0, totalBytes, nodesDone, nodesTotal }) => {
      movedBytes += moreBytes;
      if (moreBytes > 0) step.note(MOVED, movedBytes);
      progress.bytes(movedBytes, totalBytes);
      progress.nodes(nodesDone, nodesTotal);
    },
  });
  // Manifests that an earlier call has moved are among them, each once.
  const manifests = report.copied.filter(({ kind }) => kind === 'manifest');
  return { ...report, movedBytes: manifests.reduce((sum, { size }) => sum + size, movedBytes) };
}

/** Bytes of blobs that were moved by all calls. */
const MOVED = 'bytes moved';

const uploadSchema = z.object({
  upload: z.object({
    url: z.string(),
    receivedBytes: z.number().int().nonnegative(),
    chunkBytes: z.number().int().positive(),
    restarts: z.number().int().nonnegative(),
  }),
});
const arrivedSchema = z.object({ arrived: z.enum(['copied', 'existed', 'mounted']), movedBytes: z.number() });

/** Moves the large blobs of a plan, each from where its upload stands: that is kept after each piece, so that a crash costs one. */
async function moveLarge(
  ports: Pick<Ports, 'registries' | 'callBounds'>,
  step: LongStep,
  plan: CopyPlan,
  { source, destination }: CopyRequest,
  { signal, progress }: StepCall,
): Promise<Map<string, { arrived: Arrival; movedBytes: number }>> {
  const blobs = largeBlobsOf(plan, ports.callBounds.largeBlobBytes);
  const from = ports.registries.repository(source.registry, source.repository);
  const to = ports.registries.repository(destination.registry, destination.repository);
  const mountFrom = source.registry === destination.registry ? [source.repository] : [];
  const received = new Map<string, number>();
  const done = new Map<string, { arrived: Arrival; movedBytes: number }>();
  await mapConcurrently(blobs, LARGE_AT_ONCE, async (blob) => {
    const what = `upload ${blob.digest}`;
    const noted = step.noted(what);
    const arrived = arrivedSchema.safeParse(noted).data;
    if (arrived !== undefined) return void done.set(blob.digest, arrived);
    if (step.isTimeUp) return undefined;
    const kept: OpenUpload | undefined = uploadSchema.safeParse(noted).data?.upload;
    let movedBytes = kept?.receivedBytes ?? 0;
    const moved = await moveStretch(blob, from, to, {
      signal,
      mountFrom,
      ...(kept && { from: kept }),
      isEnough: () => step.isTimeUp,
      onReached: async (upload) => {
        movedBytes = upload.receivedBytes;
        received.set(blob.digest, movedBytes);
        progress.bytes(
          [...received.values()].reduce((sum, bytes) => sum + bytes, 0),
          plan.sizeBytes,
        );
        step.note(what, { upload });
        await step.keep();
      },
    });
    if (moved.state === 'more') return undefined;
    const end = { arrived: moved.state, movedBytes: moved.state === 'copied' ? blob.size : 0 };
    step.note(what, end);
    await step.keep();
    return void done.set(blob.digest, end);
  });
  if (done.size < blobs.length) await step.goOnLater();
  return done;
}

function largeBlobsOf(plan: CopyPlan, overBytes: number): Descriptor[] {
  const blobs = [...plan.manifests.flatMap((manifest) => manifest.blobs), ...(plan.blobs ?? [])];
  const large = blobs.filter(({ size }) => size > overBytes);
  return [...new Map(large.map((blob) => [blob.digest, blob])).values()];
}

/** What was moved in pieces was there when the rest was copied. */
function withLarge(
  report: CopyReport,
  large: ReadonlyMap<string, { arrived: Arrival; movedBytes: number }>,
): CopyReport {
  if (large.size === 0) return report;
  const all: CopiedNode[] = [...report.copied, ...report.mounted, ...report.existed];
  const arrivalOf = new Map<string, Arrival>([
    ...(['copied', 'mounted', 'existed'] as const).flatMap((arrival) =>
      report[arrival].map(({ digest }) => [digest, arrival] as const),
    ),
    ...[...large].map(([digest, { arrived }]) => [digest, arrived] as const),
  ]);
  const those = (arrival: Arrival): CopiedNode[] => all.filter(({ digest }) => arrivalOf.get(digest) === arrival);
  const movedBytes = [...large.values()].reduce((sum, each) => sum + each.movedBytes, report.movedBytes);
  return { ...report, copied: those('copied'), mounted: those('mounted'), existed: those('existed'), movedBytes };
}
