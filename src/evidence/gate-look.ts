import {
  InconclusiveError,
  InputError,
  IntegrityError,
  RegistryError,
  VerificationError,
  mapConcurrently,
  type Descriptor,
  type ReadableRepository,
} from '../oci/index.js';
import { decideGate, type Finding, type GateDecision } from '../rules/gate.js';
import type { SignaturePolicy } from '../rules/rule.js';
import { readCertificates, thumbprint, verifyNotary } from '../signing/index.js';
import { GateMemory } from './gate-memory.js';
import { isOurKey, fetchSignature, hashOfList, listSignatures, rankSignatures } from './signature-checks.js';
import type { Ports } from '../ports/ports.js';

/**
 * Limits of one call of the gate for one policy: signatures that it reads, how many at once, and their bytes. A list
 * has at most 10,000 signatures; the next call continues.
 */
const MOST_SIGNATURES = 500;
const SIGNATURES_AT_ONCE = 8;
const SIGNATURE_BYTES = 64 * 1024 * 1024;

type LookPorts = Pick<Ports, 'documents' | 'signer' | 'now'>;

export interface GateLook {
  decision: GateDecision;
  /** A hash of the listed signatures. It changes if a signature is added or removed. */
  evidence: string;
  /**
   * True if the gate is not passed and some signatures are not checked yet. The caller calls again. Until then the gate
   * counts as not passed.
   */
  isUnfinished: boolean;
}

/**
 * Checks the signatures of a subject against policies. Anybody can attach signatures, so those that name a certificate
 * of the trust store come first, and one call reads a limited number. Bad signatures are remembered, so each call gets
 * further. Of the 10,000 signatures that a list may have, the good one is found within 20 calls (40 if all have the
 * maximum size).
 * @param ours `count` if signatures by keys of this app, present or former, count; a gate always passes `never`
 */
export async function lookAtGate(
  ports: LookPorts,
  repository: ReadableRepository,
  subject: Descriptor,
  policies: readonly SignaturePolicy[],
  { signal, ours = 'never' }: { signal: AbortSignal; ours?: 'never' | 'count' },
): Promise<GateLook> {
  const listed = await listSignatures(repository, subject, signal);
  const looks = await Promise.all(
    policies.map((policy) => new PolicyLook(ports, repository, { subject, policy, ours }, signal).look(listed)),
  );
  const decision = decideGate(
    policies,
    looks.map(({ findings }) => findings),
  );
  const isUnfinished = !decision.passed && looks.some((look) => look.isUnfinished);
  return { decision, evidence: hashOfList(listed), isUnfinished };
}

/** `passed`: the signature satisfies the policy. `bad`: it never will. `again`: it may later. */
type Verdict = { is: 'passed'; finding: Finding } | { is: 'bad' | 'again'; finding?: Finding };

/** The check of one policy in one call. */
class PolicyLook {
  readonly #ports: LookPorts;
  readonly #repository: ReadableRepository;
  readonly #asked: { subject: Descriptor; policy: SignaturePolicy; ours: 'never' | 'count' };
  readonly #certificates: readonly Uint8Array[];
  readonly #signal: AbortSignal;
  #bytes = 0;

  /** @throws ConfigurationError `CERTIFICATE_UNREADABLE` */
  constructor(
    ports: LookPorts,
    repository: ReadableRepository,
    asked: { subject: Descriptor; policy: SignaturePolicy; ours: 'never' | 'count' },
    signal: AbortSignal,
  ) {
    this.#ports = ports;
    this.#repository = repository;
    this.#asked = asked;
    this.#certificates = readCertificates(asked.policy.trustStore);
    this.#signal = signal;
  }

  async look(listed: readonly Descriptor[]): Promise<{ findings: Finding[]; isUnfinished: boolean }> {
    const memory = await GateMemory.open(this.#ports, this.#asked, listed);
    const ranked = rankSignatures(listed, new Set(this.#certificates.map(thumbprint)));
    const order = memory.inOrder(ranked);
    let read = 0;
    while (read < order.length && read < MOST_SIGNATURES && this.#bytes < SIGNATURE_BYTES) {
      const most = Math.min(SIGNATURES_AT_ONCE, MOST_SIGNATURES - read);
      const some = order.slice(read, read + most);
      read += some.length;
      const verdicts = await mapConcurrently(some, SIGNATURES_AT_ONCE, (entry) => this.#judge(entry));
      for (const [index, verdict] of verdicts.entries()) {
        const { digest } = some[index] ?? {};
        if (verdict.is === 'passed') {
          await memory.save();
          return { findings: [verdict.finding], isUnfinished: false };
        }
        if (digest !== undefined) memory.note(digest, verdict.is, verdict.finding);
      }
    }
    await memory.save();
    return { findings: memory.findings(), isUnfinished: memory.hasUnseen() };
  }

  async #judge(entry: Descriptor): Promise<Verdict> {
    const { digest } = entry;
    const { subject, policy, ours } = this.#asked;
    try {
      const { signature, bytes } = await fetchSignature(this.#repository, subject, entry, this.#signal);
      this.#bytes += bytes;
      if (signature === undefined) return { is: 'bad' };
      const trust = { certificates: this.#certificates, identities: policy.identities };
      const verified = await verifyNotary({ ...signature, subject, trust, now: this.#ports.now() });
      if (ours === 'never' && (await isOurKey(this.#ports, verified.keyHash))) return { is: 'bad' };
      return { is: 'passed', finding: { verdict: 'passed', signedBy: verified.signedBy, signature: digest } };
    } catch (error) {
      return verdictOf(error, digest);
    }
  }
}

/**
 * @throws an error that does not depend on the signature, for example if the registry is down or the trust store is
 * invalid
 */
function verdictOf(error: unknown, signature: string): Verdict {
  if (error instanceof InputError) return { is: 'bad' };
  // The content does not match its digest, or is gone since it was listed: a replica may be stale.
  if (error instanceof IntegrityError || (error instanceof RegistryError && error.notFound)) return { is: 'again' };
  if (error instanceof VerificationError) {
    const { code, message: reason } = error;
    // The error also means that a certificate is not valid yet.
    const is = code === 'SIGNATURE_CERTIFICATE_EXPIRED' ? 'again' : 'bad';
    return { is, finding: { verdict: 'rejected', code, reason, signature } };
  }
  if (error instanceof InconclusiveError) {
    const { code, message: reason } = error;
    return { is: 'bad', finding: { verdict: 'inconclusive', code, reason, signature } };
  }
  throw error;
}
