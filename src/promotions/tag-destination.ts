import type { Runs } from '../ports/runs.js';
import type { Promotions } from '../ports/promotions.js';
import type { Claims } from '../ports/claims.js';
import { parseReference, type HeldLease } from '../oci/index.js';
import { readOwned, openedBy } from '../rows/row-writes.js';
import type { InputOf, ResultOf } from '../rows/steps.js';
import type { tagDestinationContract } from './contracts.js';
import { claimDestination, type WithRules } from '../rows/claims.js';
import { wasReplaced } from '../rows/news.js';
import { readSourceTag, unlessStopped, isTagged, writeTag } from '../transfer/tag.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall, StepReply } from '../ports/step.js';
import type { StorePort } from '../ports/store.js';
import { destinationLease, underLease } from '../transfer/registry-access.js';

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
