import { attachSignatures, counted, type AttachPorts } from '../evidence/attach.js';
import { classifyGraph } from '../evidence/classify.js';
import type { StepCall } from '../ports/step.js';
import { longStep } from '../transfer/long-step.js';
import { resolveRoot, type OperationResult } from './operation.js';
import type { InputOf } from './operation-schema.js';
import type { OpenedImage } from './sbom.js';
import type { sign } from './sign.schema.js';

/** Attaches the app's signature to the manifest, and with `recursive` to the manifests of an index. */
export async function run(
  opened: OpenedImage,
  input: InputOf<typeof sign>,
  ports: AttachPorts,
  call: StepCall,
): Promise<OperationResult | { retryAfterMs: number }> {
  const { runId, name } = opened;
  const root = await resolveRoot(opened, input, call.signal);
  const attaching = { runId, rule: { sign: ['notary'] as const, sbom: { formats: [], refresh: false } }, source: name };
  const reply = await longStep(ports, 'sign', { runId }, call, async (step) => {
    const { images } = await classifyGraph(step.repository(name.registry, name.repository), root, call.signal);
    const subjects = input.recursive ? images : images.slice(0, 1);
    const signed = await attachSignatures(ports, step, attaching, subjects, call);
    call.progress.text(counted('signatures', signed).join());
    const signatureOf = new Map(signed.map(({ label, digest, made }) => [label, { signature: digest, made }]));
    return subjects.map(({ digest, label }) => ({ digest, label, ...signatureOf.get(label) }));
  });
  if (!('done' in reply)) return reply;
  const { digest } = root;
  return { output: { reference: `${opened.repository.name}@${digest}`, digest, signed: reply.done }, digest };
}
