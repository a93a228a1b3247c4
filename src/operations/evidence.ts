import { VerificationError } from '../oci/index.js';
import { attachSbomStep } from '../evidence/attach-sbom.js';
import { attachSignatureStep } from '../evidence/attach-signature.js';
import { classifyGraph } from '../evidence/classify.js';
import { lookAtGate } from '../evidence/gate-look.js';
import { resolveTarget, targetOf, type Operation } from './operation.js';

/** Gate 1 of a rule, by what the job itself trusts; our own signatures count like anybody's. */
export const verify: Operation<'verify'> = async ({ ports, job, signal, progress }) => {
  const target = targetOf(ports, job.reference);
  const { repository } = target;
  const root = await resolveTarget(target, job, signal);
  const asked = { signal, ours: 'count' as const };
  const { decision, isUnfinished } = await lookAtGate(ports, repository, root, job.signatures, asked);
  if (isUnfinished) return { later: 0 };
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

/** An SBOM for each image under the reference, signed where there is a key; what has one of ours already keeps it. */
export const sbom: Operation<'sbom'> = async ({ ports, runId, job, signal, progress }) => {
  const target = targetOf(ports, job.reference);
  const root = await resolveTarget(target, job, signal);
  const { images } = await classifyGraph(target.repository, root, signal);
  const rule = { sign: ports.signer === undefined ? [] : (['notary'] as const) };
  const made: unknown[] = [];
  for (const image of images) {
    const { digest, label } = image;
    if (!image.sbom) {
      made.push({ digest, label, why: image.why });
      continue;
    }
    const reply = await attachSbomStep(ports, { runId, rule, source: target.name, image }, { signal, progress });
    if ('later' in reply) return reply;
    made.push({ digest, label, ...reply.done });
  }
  return { output: { images: made }, digest: root.digest };
};

/** Our signature over the reference, and with `recursive` over the manifests of an index. */
export const sign: Operation<'sign'> = async ({ ports, runId, job, signal, progress }) => {
  const target = targetOf(ports, job.reference);
  const root = await resolveTarget(target, job, signal);
  const { images } = await classifyGraph(target.repository, root, signal);
  const signed: unknown[] = [];
  for (const { mediaType, digest, size, label } of job.recursive ? images : images.slice(0, 1)) {
    const subject = { mediaType, digest, size };
    const reply = await attachSignatureStep(ports, { runId, source: target.name, subject }, { signal, progress });
    if ('later' in reply) return reply;
    signed.push({ digest, label, ...reply.done });
  }
  return { output: { signed }, digest: root.digest };
};
