import { checkTag } from '../oras/index.js';
import {
  resolveIfThere,
  type Descriptor,
  PromoterError,
  formatReference,
  parseReference,
  type Registries,
  type HeldLease,
} from '../oci/index.js';
import type { Ports } from '../ports/ports.js';
import { LATE_MS, lateTag, wasReplaced, type LateTag } from '../rows/news.js';
import { claimDestination, type WithRules } from '../rows/claims.js';
import type { InputOf, ResultOf } from '../rows/step-contract.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import type { SourceTag } from '../rows/run-row.js';
import type { TagName } from '../rules/match.js';
import type { StepCall, StepReply } from '../ports/step.js';
import type { tagDestinationContract } from './contracts.js';
import { deletedTag, destinationLease, missingTag, underLease, writeAtDestination } from './registry-access.js';
import type { Claims } from '../ports/claims.js';
import type { Promotions } from '../ports/promotions.js';
import type { Runs } from '../ports/runs.js';
import { believeTag, openedBy, readOwned } from '../rows/row-writes.js';
import { isCancelled, whyToStop } from '../rows/cancellation.js';
import type { StorePort } from '../ports/store.js';

/** How long a run that ends looks for the tag's digest, in milliseconds. */
export const CLOSING_LOOK_MS = 10_000;

/** The tag's descriptor. Undefined if the tag or the repository does not exist. */
export function resolveTag(
  ports: Pick<Ports, 'registries'>,
  name: TagName,
  signal: AbortSignal,
): Promise<Descriptor | undefined> {
  return resolveIfThere(ports.registries.repository(name.registry, name.repository), name.tag, { signal });
}

const TAG_LATE = 'TAG_LATE';

/**
 * Reads the source tag of a run. If the tag still has its digest from before a reported push, the step waits for a
 * quarter of an hour, and then believes the digest. This is written to the promotion's row, so that no later step waits
 * again.
 * @param known the promotion's row; undefined if there is none, so that the step does not wait
 * @returns `row`: the row after that; undefined if another run owns it
 * @throws PromoterError `TAG_LATE`, `SOURCE_GONE`
 */
export async function readSourceTag(
  ports: { registries: Registries; now(): Date } & StorePort<Promotions>,
  { promotionId, runId, source }: { promotionId: string; runId: string; source: SourceTag },
  known: PromotionRow | undefined,
  call: Pick<StepCall, 'signal' | 'trouble'>,
): Promise<{ read: Descriptor; row: PromotionRow | undefined }> {
  const read = await resolveTag(ports, source, call.signal);
  if (read === undefined) throw known?.news?.tag?.deleted === true ? deletedTag(source) : missingTag(source);
  const late = known && lateTag(known, read.digest, ports.now());
  if (late === undefined) return { read, row: known };
  if (mayWait(call)) throw tagLate(source, late);
  return { read, row: await believeTag(ports, promotionId, runId, read.digest) };
}

/** True if a step that found a stale tag asks again. */
function mayWait({ trouble }: Pick<StepCall, 'trouble'>): boolean {
  return trouble?.code !== TAG_LATE || trouble.forMs < LATE_MS;
}

function tagLate(source: SourceTag, { digest, named, replacedAt }: LateTag): PromoterError {
  const why =
    named === undefined
      ? `which was replaced at ${replacedAt ?? ''}`
      : `and the push at ${named.at} named ${named.digest}`;
  return new PromoterError(TAG_LATE, `${formatReference(source)} still has ${digest}, ${why}`, {
    transient: true,
    remedy:
      'No action needed: a replica of the registry is late. After 15 minutes the run uses the digest that the tag has then.',
  });
}

/**
 * Checks the run once more before a write. A process that was frozen may resume after another process has finished the
 * run.
 * @throws PromoterError `RUN_CANCELLED` if the run must stop; `RUN_ENDED` if its row has ended or was removed
 */
export async function throwIfStopped(store: Runs, runId: string): Promise<void> {
  const error = whyToStop(runId, (await store.getRun(runId))?.value);
  if (error !== undefined) throw error;
}

/** A tag is no longer written if its lease ends within this time, in milliseconds. */
const TAG_MARGIN_MS = 5_000;

/**
 * If a run is stopped, it may have written its tag already: the answer was lost, or the worker died. The tag is checked
 * before the run ends as cancelled.
 * @param writtenResult returns the result of the step if the tag is written, otherwise undefined
 */
export async function unlessStopped<T>(
  { signal, finish = signal }: StepCall,
  work: () => Promise<StepReply<T>>,
  writtenResult: (signal: AbortSignal) => Promise<T | undefined>,
): Promise<StepReply<T>> {
  try {
    signal.throwIfAborted();
    return await work();
  } catch (error) {
    if (!signal.aborted && !isCancelled(error)) throw error;
    const look = AbortSignal.any([finish, AbortSignal.timeout(CLOSING_LOOK_MS)]);
    // If the check fails, the run ends as cancelled.
    const done = await writtenResult(look).catch(() => undefined);
    if (done === undefined) throw error;
    return { done };
  }
}

export async function isTagged(
  ports: Pick<Ports, 'registries'>,
  destination: TagName,
  root: Descriptor,
  signal: AbortSignal,
): Promise<boolean> {
  return (await resolveTag(ports, destination, signal))?.digest === root.digest;
}

/**
 * Writes the tag and reads it back. Does not write it if it already has the digest, unless that answer may be stale. A
 * request to stop has an effect only until the write is sent. After that, only the time limit ends the write, because
 * the registry may process an aborted request.
 * @throws CopyError `TAG_LOST` if the tag has another digest: a replica is stale, or another writer was later
 */
export async function writeTag(
  ports: Pick<Ports, 'registries' | 'listing'> & StorePort<Runs>,
  {
    runId,
    destination,
    root,
    isDoubtful,
  }: { runId: string; destination: TagName; root: Descriptor; isDoubtful?: boolean },
  { signal, finish = signal }: StepCall,
  held: AbortSignal,
  lease: HeldLease,
): Promise<void> {
  if (isDoubtful !== true && (await isTagged(ports, destination, root, held))) return;
  const repository = ports.registries.repository(destination.registry, destination.repository);
  const { bytes, descriptor } = await repository.fetchManifest(root.digest, { signal: held });
  const reference = `${destination.registry}/${destination.repository}:${destination.tag}`;
  const listed = ports.listing.repository(destination.registry, destination.repository);
  // Check once more whether the run must stop.
  await throwIfStopped(ports.store, runId);
  const lasting = AbortSignal.any([finish, lease.signal]);
  const leftMs = lease.heldUntilMs - Date.now() - TAG_MARGIN_MS;
  const deadline = AbortSignal.any([lasting, AbortSignal.timeout(Math.max(leftMs, 1))]);
  await writeAtDestination(
    reference,
    () => repository.pushManifest(bytes, descriptor.mediaType, { tag: destination.tag, signal: deadline }),
    async () => (await listed.isWritable(destination.tag, { signal: lasting })) === false,
  );
  await checkTag(repository, destination.tag, root, { signal: lasting });
}

type Tagged = ResultOf<typeof tagDestinationContract>;

/**
 * Sets the destination tag. This is the last step, so that the tag never names an incomplete image. Under the
 * destination's lease, it checks that the run still owns the row and that the source tag has the same digest. It writes
 * the tag before the lease ends, and reads it back.
 * @throws PolicyError `DESTINATION_TAKEN`, `DESTINATION_LOCKED`; CopyError `TAG_LOST`
 */
export async function tagDestinationStep(
  ports: Pick<Ports, 'registries' | 'listing' | 'lease' | 'now'> & WithRules & StorePort<Runs & Promotions & Claims>,
  input: InputOf<typeof tagDestinationContract>,
  call: StepCall,
): Promise<StepReply<ResultOf<typeof tagDestinationContract>>> {
  const opened = openedBy(call);
  const { destination: reference } = opened;
  const { registry, repository, tag = '' } = parseReference(reference);
  const at = { registry, repository, tag };
  const work = (): Promise<StepReply<Tagged>> => underLease(ports, destinationLease(reference), call.signal, tagHeld);
  const tagHeld = async (held: AbortSignal, lease: HeldLease): Promise<Tagged> => {
    await claimDestination(ports, opened);
    const row = await readOwned(ports, input.promotionId, input.runId);
    if (row === undefined) return { state: 'gone', reference };
    const { read } = await readSourceTag(ports, opened, row, { ...call, signal: held });
    if (read.digest !== input.root.digest) return { state: 'superseded', reference };
    // If the tag moved away from this digest recently, a stale replica may still answer with this digest.
    const isDoubtful = row.news !== undefined && wasReplaced(row.news, input.root.digest, ports.now());
    await writeTag(ports, { ...input, destination: at, isDoubtful }, call, held, lease);
    call.progress.text(`${reference} is ${input.root.digest}`);
    return { state: 'tagged', reference };
  };
  return unlessStopped(call, work, async (signal) => {
    if (!(await isTagged(ports, at, input.root, signal))) return undefined;
    await claimDestination(ports, opened);
    return { state: 'tagged', reference };
  });
}
