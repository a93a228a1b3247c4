import { formatReference } from '../oci/index.js';
import type { InputOf, ResultOf } from '../rows/step-contract.js';
import type { tagCopyContract } from './contracts.js';
import { readReceipt } from '../transfer/run-documents.js';
import type { CopyRequest } from '../transfer/copy.js';
import { keepOutput } from './keep-output.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall, StepReply } from '../ports/step.js';
import { destinationLease, underLease } from '../transfer/registry-access.js';
import { unlessStopped, isTagged, writeTag } from '../transfer/tag.js';
import type { StorePort } from '../ports/store.js';
import type { Runs } from '../ports/runs.js';

/** Sets the tags of a job's copy, if it has any, and stores the receipt as the job's output. */
export async function tagCopyStep(
  ports: Pick<Ports, 'registries' | 'listing' | 'lease' | 'documents'> & StorePort<Runs>,
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
