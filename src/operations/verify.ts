import { VerificationError } from '../oci/index.js';
import { lookAtGate } from '../evidence/gate-look.js';
import type { SignaturePolicy } from '../rules/rule.js';
import type { StepCall } from '../ports/step.js';
import { longStep } from '../transfer/long-step.js';
import type { LongStepPorts } from '../transfer/recalled-answers.js';
import { resolveRoot, type Opened, type OperationResult } from './operation.js';
import type { InputOf } from './operation-schema.js';
import type { verify } from './verify.schema.js';

/** What the caller trusts: the certificates of a job or a command, or the signatures that a rule requires. */
export type VerifyInput = Omit<InputOf<typeof verify>, 'signatures'> & { signatures: readonly SignaturePolicy[] };

/**
 * Checks for each policy whether a signature of the manifest satisfies it. Signatures by this app count like others.
 * @returns with the refusal `EVIDENCE_MISSING` if not; a pause if the step must be called again
 */
export async function run(
  { runId, ...opened }: Opened & { runId: string },
  input: VerifyInput,
  ports: LongStepPorts & Parameters<typeof lookAtGate>[0],
  call: StepCall,
): Promise<OperationResult | { retryAfterMs: number }> {
  const { repository } = opened;
  const { signal } = call;
  const root = await resolveRoot(opened, input, signal);
  const reply = await longStep(ports, 'verify', { runId }, call, (step) =>
    lookAtGate(ports, step, repository, root, input.signatures, { signal, ours: 'count' }),
  );
  if (!('done' in reply)) return reply;
  const { decision } = reply.done;
  const { digest } = root;
  const output = { reference: `${repository.name}@${digest}`, digest, ...decision };
  if (decision.passed) {
    call.progress.text(decision.evidence.map(({ signedBy }) => `signed by ${signedBy}`).join('; '));
    return { output, digest };
  }
  const reasons = decision.reasons.slice(0, 20).join('; ');
  const refusal = new VerificationError('EVIDENCE_MISSING', `${output.reference}: ${reasons}`, {
    remedy: 'Attach a signature by one of the trusted identities, or trust the identity that signed it.',
  });
  return { output, digest, refusal };
}
