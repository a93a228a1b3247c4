import { CopyError, formatReference, parseReference, type Descriptor, type HeldLease } from '../oci/index.js';
import { isCancelled, throwIfStopped } from '../rows/cancellation.js';
import { readOwned } from '../rows/owned-promotion.js';
import { checkArrivedEvidence } from '../evidence/arrived-evidence.js';
import type { InputOf, ResultOf, tagCopyContract, tagDestinationContract } from '../rows/contracts.js';
import { readReceipt } from '../transfer/copy-report.js';
import type { CopyRequest } from '../transfer/copy-request.js';
import { claimDestination, type WithRules } from '../rows/claims.js';
import { keepOutput } from '../operations/output.js';
import { STEP_LIMITS } from '../rows/step-limits.js';
import { openedBy } from '../rows/opened-run.js';
import { resolveTag } from '../transfer/resolve-tag.js';
import type { Ports, StepCall, StepReply, StorePort } from '../ports/ports.js';
import { writeAtDestination } from '../transfer/refused-write.js';
import { missingTag } from '../transfer/source-gone.js';
import { destinationLease, underLease } from '../transfer/under-lease.js';

type Tagged = ResultOf<typeof tagDestinationContract>;

interface TagName {
  registry: string;
  repository: string;
  tag: string;
}

/**
 * The last step, so that the tag never points at something incomplete. Under the destination's lease: the row is still the
 * run's, the source tag still means the same, what the rule attaches is at the destination, the tag is written before the lease ends,
 * and read back.
 * @throws PolicyError `DESTINATION_TAKEN`, `DESTINATION_LOCKED`; CopyError `EVIDENCE_LOST`, `TAG_LOST`
 */
export async function tagDestinationStep(
  ports: Pick<Ports, 'registries' | 'listing' | 'lease' | 'documents' | 'signer' | 'now'> &
    WithRules &
    StorePort<'getRun' | 'getPromotion' | 'replacePromotion' | 'claimDestination' | 'replaceDestinationOwner'>,
  input: InputOf<typeof tagDestinationContract>,
  call: StepCall,
): Promise<StepReply<ResultOf<typeof tagDestinationContract>>> {
  const opened = openedBy(call);
  const { destination: reference, source, rule } = opened;
  const { registry, repository, tag = '' } = parseReference(reference);
  const at = { registry, repository, tag };
  const work = (): Promise<StepReply<Tagged>> =>
    underLease(ports, destinationLease(reference), call.signal, async (held, lease): Promise<Tagged> => {
      await claimDestination(ports, opened);
      const row = await readOwned(ports, input.promotionId, input.runId);
      if (row === undefined) return { state: 'gone', reference };
      const standing = await resolveTag(ports, source, held);
      if (standing === undefined) throw missingTag(source);
      if (standing.digest !== input.root.digest) return { state: 'superseded', reference };
      await checkArrivedEvidence(ports, rule, ports.registries.repository(registry, repository), input.root, held);
      await writeTag(ports, { ...input, destination: at }, call, held, lease);
      call.progress.text(`${reference} is ${input.root.digest}`);
      return { state: 'tagged', reference };
    });
  return unlessStopped(call, work, async (signal) => {
    if (!(await isTagged(ports, at, input.root, signal))) return undefined;
    await claimDestination(ports, opened);
    return { state: 'tagged', reference };
  });
}

/** A job's tags: the same, without a promotion behind them, and there may be none; then the receipt, which is all that a copy has to show. */
export async function tagCopyStep(
  ports: Pick<Ports, 'registries' | 'listing' | 'lease' | 'store' | 'documents'>,
  { source, destination: { registry, repository }, tags = [] }: CopyRequest,
  input: InputOf<typeof tagCopyContract>,
  call: StepCall,
): Promise<StepReply<ResultOf<typeof tagCopyContract>>> {
  for (const tag of tags) {
    const destination = { registry, repository, tag };
    const reference = formatReference(destination);
    const work = (): Promise<StepReply<null>> =>
      underLease(ports, destinationLease(reference), call.signal, async (held, lease) => {
        await writeTag(ports, { ...input, destination }, call, held, lease);
        call.progress.text(`${reference} is ${input.root.digest}`);
        return null;
      });
    const reply = await unlessStopped(call, work, async (signal) =>
      (await isTagged(ports, destination, input.root, signal)) ? null : undefined,
    );
    if ('retryAfterMs' in reply) return reply;
  }
  const { root, runId } = input;
  const receipt = await readReceipt(ports, runId);
  if (receipt !== undefined) {
    const names = { source: formatReference(source), destination: formatReference({ registry, repository }) };
    await keepOutput(ports, runId, { ...names, root, tags, ...receipt });
  }
  return { done: { digest: root.digest } };
}

/**
 * A run that is to stop may have written its tag all the same: the answer was lost, or the worker that waited for it. So it is looked
 * at before the run ends as stopped.
 * @param standing what the step comes to if the tag stands; undefined: it doesn't
 */
async function unlessStopped<T>(
  { signal, finish = signal }: StepCall,
  work: () => Promise<StepReply<T>>,
  standing: (signal: AbortSignal) => Promise<T | undefined>,
): Promise<StepReply<T>> {
  try {
    signal.throwIfAborted();
    return await work();
  } catch (error) {
    if (!signal.aborted && !isCancelled(error)) throw error;
    const look = AbortSignal.any([finish, AbortSignal.timeout(STEP_LIMITS.closingLookMs)]);
    // What can't be seen keeps no run from its end.
    const done = await standing(look).catch(() => undefined);
    if (done === undefined) throw error;
    return { done };
  }
}

async function isTagged(
  ports: Pick<Ports, 'registries'>,
  destination: TagName,
  root: Descriptor,
  signal: AbortSignal,
): Promise<boolean> {
  return (await resolveTag(ports, destination, signal))?.digest === root.digest;
}

/**
 * Writes the tag unless it stands already, and reads it back. Who asks the run to stop before the write is sent finds no tag; from then
 * on only time ends it, since a request that is broken off may have been heard.
 * @throws CopyError `TAG_LOST` where it reads as something else: a replica is late, or another wrote it at the same time
 */
async function writeTag(
  ports: Pick<Ports, 'registries' | 'listing'> & StorePort<'getRun'>,
  { runId, destination, root }: { runId: string; destination: TagName; root: Descriptor },
  { signal, finish = signal }: StepCall,
  held: AbortSignal,
  lease: HeldLease,
): Promise<void> {
  if (await isTagged(ports, destination, root, held)) return;
  const repository = ports.registries.repository(destination.registry, destination.repository);
  const { bytes, descriptor } = await repository.fetchManifest(root.digest, { signal: held });
  const reference = `${destination.registry}/${destination.repository}:${destination.tag}`;
  const listed = ports.listing.repository(destination.registry, destination.repository);
  // The last look.
  await throwIfStopped(ports.store, runId);
  const lasting = AbortSignal.any([finish, lease.signal]);
  const leftMs = lease.heldUntilMs - Date.now() - STEP_LIMITS.tagMarginMs;
  const deadline = AbortSignal.any([lasting, AbortSignal.timeout(Math.max(leftMs, 1))]);
  await writeAtDestination(
    reference,
    () => repository.pushManifest(bytes, descriptor.mediaType, { tag: destination.tag, signal: deadline }),
    async () => (await listed.isWritable(destination.tag, { signal: lasting })) === false,
  );
  const after = await resolveTag(ports, destination, lasting);
  if (after?.digest === root.digest) return;
  throw new CopyError('TAG_LOST', `${reference} was set to ${root.digest} and is ${after?.digest ?? 'not there'}`, {
    remedy:
      'See that the registry shows what it has taken: a replica, or a proxy before it, may be late. Otherwise find out who else writes this tag.',
  });
}
