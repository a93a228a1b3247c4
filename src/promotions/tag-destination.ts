import { CopyError, formatReference, parseReference, type Descriptor, type HeldLease } from '../oci/index.js';
import { isCancelled, throwIfStopped } from '../rows/cancellation.js';
import { readOwned } from '../rows/owned-promotion.js';
import { checkArrivedEvidence } from '../evidence/arrived-evidence.js';
import type { InputOf, ResultOf, tagCopyContract, tagDestinationContract } from '../rows/contracts.js';
import { readReceipt } from '../transfer/copy-report.js';
import { claimDestination, type WithRules } from '../rows/claims.js';
import { keepOutput } from '../operations/output.js';
import { STEP_LIMITS } from '../rows/step-limits.js';
import { resolveTag } from '../transfer/resolve-tag.js';
import type { Ports, StepCall, StepReply, StorePort } from '../ports/ports.js';
import { writeAtDestination } from '../transfer/refused-write.js';
import { missingTag } from '../transfer/source-gone.js';
import { destinationLease, underLease } from '../transfer/under-lease.js';

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
  const { registry, repository, tag = '' } = parseReference(input.destination);
  const at = { registry, repository, tag };
  const work = (): Promise<StepReply<ResultOf<typeof tagDestinationContract>>> =>
    underLease(ports, destinationLease(input.destination), call.signal, async (held, lease) => {
      await claimDestination(ports, input);
      const row = await readOwned(ports, input.promotionId, input.runId);
      if (row === undefined) return 'gone';
      const standing = await resolveTag(ports, input.source, held);
      if (standing === undefined) throw missingTag(input.source);
      if (standing.digest !== input.root.digest) return 'superseded';
      await checkArrivedEvidence(
        ports,
        input.rule,
        ports.registries.repository(registry, repository),
        input.root,
        held,
      );
      await writeTag(ports, { ...input, destination: at }, call, held, lease);
      call.progress.text(`${input.destination} is ${input.root.digest}`);
      return 'tagged';
    });
  return unlessStopped(call, work, async (signal) => {
    if (!(await isTagged(ports, at, input.root, signal))) return undefined;
    await claimDestination(ports, input);
    return 'tagged';
  });
}

/** A job's tags: the same, without a promotion behind them, and there may be none; then the receipt, which is all that a copy has to show. */
export async function tagCopyStep(
  ports: Pick<Ports, 'registries' | 'listing' | 'lease' | 'store' | 'documents'>,
  input: InputOf<typeof tagCopyContract>,
  call: StepCall,
): Promise<StepReply<ResultOf<typeof tagCopyContract>>> {
  const { registry, repository, tag: ownTag } = input.destination;
  const tags = [...(ownTag === undefined ? [] : [ownTag]), ...(input.moreTags ?? [])];
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
    if ('later' in reply) return reply;
  }
  const { copied, root } = input;
  if (copied !== undefined) {
    const { source } = copied;
    const names = { source: formatReference(source), destination: formatReference({ registry, repository }) };
    const receipt = await readReceipt(ports, copied);
    if (receipt !== undefined) await keepOutput(ports, input.runId, { ...names, root, tags, ...receipt });
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
