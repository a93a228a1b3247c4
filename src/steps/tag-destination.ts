import { CopyError, formatReference, parseReference, type Descriptor } from '../oci/index.js';
import { throwIfCancelled } from '../runs/cancellation.js';
import { readOwned } from '../runs/owned-run.js';
import type { InputOf, ResultOf, tagCopyContract, tagDestinationContract } from './contracts.js';
import { readReceipt } from './copy-report.js';
import { claimDestination, type WithRules } from './destination-owner.js';
import { keepOutput } from './job-output.js';
import { STEP_LIMITS } from './limits.js';
import { resolveTag } from './resolve-tag.js';
import type { Ports, StepCall, StepReply, StorePort } from './ports.js';
import { writeAtDestination } from './refused-write.js';
import { missingTag } from './source-gone.js';
import { destinationLease, underLease } from './under-lease.js';

/**
 * The last step, so that the tag never points at something incomplete. Under the destination's lease: the row is still the
 * run's, the source tag still means the same, the tag is written before the lease ends, and read back.
 * @throws PolicyError `DESTINATION_TAKEN`, `DESTINATION_LOCKED`; CopyError `TAG_LOST`
 */
export async function tagDestinationStep(
  ports: Pick<Ports, 'registries' | 'listing' | 'lease'> &
    WithRules &
    StorePort<'getRun' | 'getPromotion' | 'replacePromotion' | 'claimDestination' | 'replaceDestinationOwner'>,
  input: InputOf<typeof tagDestinationContract>,
  { signal, progress }: StepCall,
): Promise<StepReply<ResultOf<typeof tagDestinationContract>>> {
  return underLease(ports, destinationLease(input.destination), signal, async (held, lease) => {
    await claimDestination(ports, input);
    const row = await readOwned(ports, input.promotionId, input.runId);
    if (row === undefined) return 'gone';
    const standing = await resolveTag(ports, input.source, held);
    if (standing === undefined) throw missingTag(input.source);
    if (standing.digest !== input.root.digest) return 'superseded';
    const { registry, repository, tag = '' } = parseReference(input.destination);
    // The last look: who asked the run to stop before this finds no tag.
    await throwIfCancelled(ports.store, input.runId);
    await writeTag(ports, { registry, repository, tag }, input.root, held, lease.heldUntilMs);
    progress.text(`${input.destination} is ${input.root.digest}`);
    return 'tagged';
  });
}

/** A job's tag: the same, without a promotion behind it; then the receipt, which is all that a copy has to show. */
export async function tagCopyStep(
  ports: Pick<Ports, 'registries' | 'listing' | 'lease' | 'store' | 'documents'>,
  input: InputOf<typeof tagCopyContract>,
  { signal, progress }: StepCall,
): Promise<StepReply<ResultOf<typeof tagCopyContract>>> {
  const { registry, repository, tag } = input.destination;
  const reference = `${registry}/${repository}:${tag}`;
  const reply = await underLease(ports, destinationLease(reference), signal, async (held, lease) => {
    await throwIfCancelled(ports.store, input.runId);
    await writeTag(ports, input.destination, input.root, held, lease.heldUntilMs);
    progress.text(`${reference} is ${input.root.digest}`);
    return { digest: input.root.digest };
  });
  const { copied, root } = input;
  if (copied !== undefined && 'done' in reply) {
    const { source } = copied;
    const names = { source: formatReference(source), destination: formatReference({ registry, repository }) };
    const receipt = await readReceipt(ports, copied);
    if (receipt !== undefined) await keepOutput(ports, input.runId, { ...names, root, tags: [tag], ...receipt });
  }
  return reply;
}

/**
 * Writes the tag unless it stands already, and reads it back.
 * @throws CopyError `TAG_LOST` where it reads as something else: a replica is late, or another wrote it at the same time
 */
async function writeTag(
  ports: Pick<Ports, 'registries' | 'listing'>,
  destination: { registry: string; repository: string; tag: string },
  root: Descriptor,
  signal: AbortSignal,
  heldUntilMs: number,
): Promise<void> {
  const before = await resolveTag(ports, destination, signal);
  if (before?.digest === root.digest) return;
  const repository = ports.registries.repository(destination.registry, destination.repository);
  const { bytes, descriptor } = await repository.fetchManifest(root.digest, { signal });
  const leftMs = heldUntilMs - Date.now() - STEP_LIMITS.tagMarginMs;
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(Math.max(leftMs, 1))]);
  const reference = `${destination.registry}/${destination.repository}:${destination.tag}`;
  const listed = ports.listing.repository(destination.registry, destination.repository);
  await writeAtDestination(
    reference,
    () => repository.pushManifest(bytes, descriptor.mediaType, { tag: destination.tag, signal: deadline }),
    async () => (await listed.isWritable(destination.tag, { signal })) === false,
  );
  const after = await resolveTag(ports, destination, signal);
  if (after?.digest === root.digest) return;
  throw new CopyError('TAG_LOST', `${reference} was set to ${root.digest} and is ${after?.digest ?? 'not there'}`, {
    remedy:
      'See that the registry shows what it has taken: a replica, or a proxy before it, may be late. Otherwise find out who else writes this tag.',
  });
}
