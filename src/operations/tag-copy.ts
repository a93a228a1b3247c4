import { formatReference } from '../oci/index.js';
import type { InputOf, ResultOf } from '../rows/step-contract.js';
import type { tagCopyContract } from './contracts.js';
import { readReceipt } from '../transfer/copy-report.js';
import { keepOutput } from './output.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall, StepReply } from '../ports/step.js';
import { destinationLease, underLease } from '../transfer/under-lease.js';
import { unlessStopped, isTagged, writeTag } from '../transfer/write-tag.js';

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
