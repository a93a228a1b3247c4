import { InconclusiveError, VerificationError, type Descriptor, type ReadableRepository } from '../oci/index.js';
import { decideGate, type Finding } from '../promotion/gate.js';
import type { SignaturePolicy } from '../promotion/rule.js';
import { readOwned } from '../runs/owned-run.js';
import { readCertificates, verifyNotary } from '../signing/index.js';
import type { InputOf, ResultOf, checkEvidenceContract } from './contracts.js';
import { resolveTag } from './resolve-tag.js';
import { leafThumbprint, readSignatures, signaturesHash } from './our-signature.js';
import type { Ports, StepCall, StorePort } from './ports.js';
import { missingTag } from './source-gone.js';

/** Gate 1: the evidence of others that the rule demands is there and verifies. Our own key never satisfies it. */
export async function checkEvidenceStep(
  ports: Pick<Ports, 'registries' | 'signer' | 'now'> & StorePort<'getPromotion' | 'replacePromotion'>,
  input: InputOf<typeof checkEvidenceContract>,
  { signal, progress }: StepCall,
): Promise<ResultOf<typeof checkEvidenceContract>> {
  // Read before the referrers are listed: what is raised from here on is not what we looked at.
  const row = await readOwned(ports, input.promotionId, input.runId);
  if (row === undefined) return { state: 'gone' };
  const standing = await resolveTag(ports, input.source, signal);
  if (standing === undefined) throw missingTag(input.source);
  if (standing.digest !== input.root.digest) return { state: 'superseded' };
  const repository = ports.registries.repository(input.source.registry, input.source.repository);
  const evidence = await signaturesHash(repository, input.root, signal);
  const findings = await Promise.all(
    input.rule.verify.signatures.map((policy) => examine(ports, repository, input.root, policy, signal)),
  );
  const decision = decideGate(input.rule.verify.signatures, findings);
  if (decision.passed) {
    progress.text(
      decision.evidence.map(({ signedBy }) => `signed by ${signedBy}`).join('; ') || 'the rule asks for none',
    );
    return { state: 'passed', wanted: row.wanted };
  }
  progress.text(decision.reasons.join('; '));
  return { state: 'closed', wanted: row.wanted, evidence, reasons: decision.reasons.slice(0, 20) };
}

/** Holds each signature on the subject against one policy. */
export async function examine(
  ports: Pick<Ports, 'signer' | 'now'>,
  repository: ReadableRepository,
  subject: Descriptor,
  policy: SignaturePolicy,
  signal: AbortSignal,
): Promise<Finding[]> {
  const certificates = readCertificates(policy.trustStore);
  const own = ports.signer && leafThumbprint(ports.signer);
  const findings: Finding[] = [];
  for await (const { descriptor, envelope, mediaType } of readSignatures(repository, subject, signal)) {
    const signature = descriptor.digest;
    try {
      const verified = await verifyNotary({
        envelope,
        mediaType,
        subject,
        trust: { certificates, identities: policy.identities },
        now: ports.now(),
      });
      if (verified.certificateThumbprint === own) continue;
      findings.push({ verdict: 'passed', signedBy: verified.signedBy, signature });
    } catch (error) {
      if (error instanceof VerificationError) {
        findings.push({ verdict: 'rejected', code: error.code, reason: error.message, signature });
      } else if (error instanceof InconclusiveError) {
        findings.push({ verdict: 'inconclusive', code: error.code, reason: error.message, signature });
      } else throw error;
    }
  }
  return findings;
}
