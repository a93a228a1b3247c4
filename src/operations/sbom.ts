import { attachSboms, counted, type AttachPorts } from '../evidence/attach.js';
import { classifyGraph } from '../evidence/classify.js';
import type { StepCall } from '../ports/step.js';
import { longStep } from '../transfer/long-step.js';
import { resolveRoot, type Opened, type OperationResult } from './operation.js';
import type { InputOf } from './operation-schema.js';
import type { sbom } from './sbom.schema.js';

/** The image of `sbom` and `sign`. Their checkpoints are stored under the id of the run. */
export interface OpenedImage extends Opened {
  name: { registry: string; repository: string };
  runId: string;
}

/**
 * Attaches an SBOM to each image under the reference, and signs it if there is a key. An image that has an SBOM by this
 * app gets no other.
 */
export async function run(
  opened: OpenedImage,
  input: InputOf<typeof sbom>,
  ports: AttachPorts,
  call: StepCall,
): Promise<OperationResult | { retryAfterMs: number }> {
  const { runId, name } = opened;
  const root = await resolveRoot(opened, input, call.signal);
  const rule = {
    sign: ports.signer === undefined ? [] : (['notary'] as const),
    sbom: { formats: input.formats ?? (['cyclonedx'] as const), refresh: false },
  };
  const reply = await longStep(ports, 'sbom', { runId }, call, async (step) => {
    const { images } = await classifyGraph(step.repository(name.registry, name.repository), root, call.signal);
    const made = await attachSboms(ports, step, { runId, rule, source: name }, images, call);
    call.progress.text(counted('SBOMs', made).join());
    return images.map(({ digest, label, why }) => {
      const sboms = made.filter(({ subject }) => subject === digest).map((each) => [each.digest, each.made] as const);
      const [first] = sboms;
      if (first === undefined) return { digest, label, why };
      return {
        digest,
        label,
        sbom: first[0],
        made: first[1],
        sboms: sboms.map(([sbom, isMade], index) => ({ format: rule.sbom.formats[index], digest: sbom, made: isMade })),
      };
    });
  });
  if (!('done' in reply)) return reply;
  const { digest } = root;
  return { output: { reference: `${opened.repository.name}@${digest}`, digest, images: reply.done }, digest };
}
