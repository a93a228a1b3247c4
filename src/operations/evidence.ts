import { VerificationError } from '../oci/index.js';
import { attachSboms, attachSignatures, counted } from '../evidence/attach.js';
import { classifyGraph } from '../evidence/classify.js';
import { lookAtGate } from '../evidence/gate-look.js';
import { resolveTarget, targetOf, type Operation } from './operation.js';
import { Busy, longStep } from '../transfer/long-step.js';

/** Gate 1 of a rule, by what the job itself trusts; our own signatures count like anybody's. */
export const verify: Operation<'verify'> = async ({ ports, job, signal, progress }) => {
  const target = targetOf(ports, job.reference);
  const { repository } = target;
  const root = await resolveTarget(target, job, signal);
  const asked = { signal, ours: 'count' as const };
  const { decision, isUnfinished } = await lookAtGate(ports, repository, root, job.signatures, asked);
  if (isUnfinished) return { retryAfterMs: 0 };
  const output = { reference: `${repository.name}@${root.digest}`, ...decision };
  if (decision.passed) {
    progress.text(decision.evidence.map(({ signedBy }) => `signed by ${signedBy}`).join('; '));
    return { output, digest: root.digest };
  }
  const reasons = decision.reasons.slice(0, 20).join('; ');
  const refusal = new VerificationError('EVIDENCE_MISSING', `${output.reference}: ${reasons}`, {
    remedy: 'Attach a signature by one of the identities that the job trusts, or trust who has signed it.',
  });
  return { output, digest: root.digest, refusal };
};

/** An SBOM for each image under the reference, signed if there is a key; what has one of ours already keeps it. */
export const sbom: Operation<'sbom'> = async (call) => {
  const { ports, runId, job, signal } = call;
  const target = targetOf(ports, job.reference);
  const { registry, repository } = target.name;
  const root = await resolveTarget(target, job, signal);
  const rule = { sign: ports.signer === undefined ? [] : (['notary'] as const) };
  const reply = await longStep(ports, 'sbom', { runId }, call, async (step) => {
    const { images } = await classifyGraph(step.repository(registry, repository), root, signal);
    const made = await attachSboms(ports, step, { runId, rule, source: target.name }, images, call);
    if (made instanceof Busy) return made;
    call.progress.text(counted('SBOMs', made).join());
    const sbomOf = new Map(made.map(({ label, digest, made: isMade }) => [label, { sbom: digest, made: isMade }]));
    return images.map(({ digest, label, why }) => ({ digest, label, ...(sbomOf.get(label) ?? { why }) }));
  });
  return 'done' in reply ? { output: { images: reply.done }, digest: root.digest } : reply;
};

/** Our signature over the reference, and with `recursive` over the manifests of an index. */
export const sign: Operation<'sign'> = async (call) => {
  const { ports, runId, job, signal } = call;
  const target = targetOf(ports, job.reference);
  const { registry, repository } = target.name;
  const root = await resolveTarget(target, job, signal);
  const reply = await longStep(ports, 'sign', { runId }, call, async (step) => {
    const { images } = await classifyGraph(step.repository(registry, repository), root, signal);
    const subjects = job.recursive ? images : images.slice(0, 1);
    const signed = await attachSignatures(
      ports,
      step,
      { runId, rule: { sign: ['notary'] }, source: target.name },
      subjects,
      call,
    );
    if (signed instanceof Busy) return signed;
    call.progress.text(counted('signatures', signed).join());
    const signatureOf = new Map(signed.map(({ label, digest, made }) => [label, { signature: digest, made }]));
    return subjects.map(({ digest, label }) => ({ digest, label, ...signatureOf.get(label) }));
  });
  return 'done' in reply ? { output: { signed: reply.done }, digest: root.digest } : reply;
};
