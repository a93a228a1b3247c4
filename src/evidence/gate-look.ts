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
import { isOurKey, fetchSignature, hashOfList, listSignatures, rankSignatures } from './signature-checks.js';
import type { LongStep } from '../transfer/long-step.js';
import type { Ports } from '../ports/ports.js';

/** How many signatures are checked at once. */
const SIGNATURES_AT_ONCE = 8;
/** Maximum signatures that one call checks again after an earlier look. The one that was not checked for longest comes first. */
const MOST_AGAIN = 500;
/** Maximum signatures that the gate names as reasons for one policy. */
const MOST_REASONS = 20;

type LookPorts = Pick<Ports, 'documents' | 'signer' | 'now'>;

/** What a look needs of its long step. */
type LookStep = Pick<LongStep, 'once' | 'stateOf'>;

export interface GateLook {
  decision: GateDecision;
  /** A hash of the listed signatures. It changes if a signature is added or removed. */
  evidence: string;
}

/** How a look checks signatures. */
export interface LookOptions {
  signal: AbortSignal;
  /** The number of the look in its run. Default: 1. */
  look?: number;
  /** `count` if signatures by keys of this app, present or former, count. Default: `never`, as for a gate. */
  ours?: 'never' | 'count';
}

/**
 * Checks the signatures of a subject against policies. Anybody can attach signatures, so those that name a certificate
 * of the trust store come first. The result for each signature is kept in the long step, so that its next call
 * continues, and a later look of the same run checks only new signatures and those that may satisfy the policy now.
 */
export async function lookAtGate(
  ports: LookPorts,
  step: LookStep,
  repository: ReadableRepository,
  subject: Descriptor,
  policies: readonly SignaturePolicy[],
  options: LookOptions,
): Promise<GateLook> {
  const listed = await listSignatures(repository, subject, options.signal);
  const findings: Finding[][] = [];
  for (const [index, policy] of policies.entries()) {
    findings.push(await findingsOf(ports, step, repository, listed, { ...options, subject, policy, index }));
  }
  return { decision: decideGate(policies, findings), evidence: hashOfList(listed) };
}

/** `passed`: the signature satisfies the policy. `bad`: it never will. `again`: it may later. */
type Verdict = { is: 'passed'; finding: Finding } | { is: 'bad' | 'again'; finding?: Finding };

/** A verdict, and the look that has come to it. */
type Judged = Verdict & { look: number };

interface Asked extends LookOptions {
  subject: Descriptor;
  policy: SignaturePolicy;
  /** The position of the policy in its rule. */
  index: number;
}

/**
 * The finding that satisfies one policy, or some of the reasons why no signature does.
 * @throws ConfigurationError `CERTIFICATE_UNREADABLE`
 */
async function findingsOf(
  ports: LookPorts,
  step: LookStep,
  repository: ReadableRepository,
  listed: readonly Descriptor[],
  asked: Asked,
): Promise<Finding[]> {
  const { index, look = 1 } = asked;
  const certificates = readCertificates(asked.policy.trustStore);
  const nameOf = ({ digest }: Descriptor): string => `gate ${index} ${digest}`;
  const verdicts = new Map<string, Verdict>();
  const unseen: Descriptor[] = [];
  const again: { entry: Descriptor; known: Judged }[] = [];
  for (const entry of rankSignatures(listed, new Set(certificates.map(thumbprint)))) {
    // The value is what `judge` has returned in this call or an earlier one.
    const known = step.stateOf(nameOf(entry)) as Judged | undefined;
    if (known === undefined) unseen.push(entry);
    else verdicts.set(entry.digest, known);
    if (known === undefined || known.is === 'bad') continue;
    if (known.look !== look) again.push({ entry, known });
    else if (known.is === 'passed') return [known.finding];
  }
  const passedFirst = ({ is }: Judged): number => (is === 'passed' ? 0 : 1);
  again.sort((a, b) => passedFirst(a.known) - passedFirst(b.known) || a.known.look - b.known.look);
  const order = [...unseen, ...again.slice(0, MOST_AGAIN).map(({ entry }) => entry)];
  for (let from = 0; from < order.length; from += SIGNATURES_AT_ONCE) {
    const some = order.slice(from, from + SIGNATURES_AT_ONCE);
    const judged = await mapConcurrently(some, SIGNATURES_AT_ONCE, (entry) =>
      step.once<Judged>(
        nameOf(entry),
        async () => ({ ...(await judge(ports, repository, entry, certificates, asked)), look }),
        (known) => known.is === 'bad' || known.look === look,
      ),
    );
    for (const [at, verdict] of judged.entries()) {
      if (verdict.is === 'passed') return [verdict.finding];
      verdicts.set(some[at]?.digest ?? '', verdict);
    }
  }
  const reasons = [...verdicts.values()].flatMap(({ is, finding }) => (is === 'passed' ? [] : (finding ?? [])));
  return reasons.slice(0, MOST_REASONS);
}

async function judge(
  ports: LookPorts,
  repository: ReadableRepository,
  entry: Descriptor,
  certificates: readonly Uint8Array[],
  { subject, policy, ours = 'never', signal }: Asked,
): Promise<Verdict> {
  const { digest } = entry;
  try {
    const signature = await fetchSignature(repository, subject, entry, signal);
    if (signature === undefined) return { is: 'bad' };
    const trust = { certificates, identities: policy.identities };
    const verified = await verifyNotary({ ...signature, subject, trust, now: ports.now() });
    if (ours === 'never' && (await isOurKey(ports, verified.keyHash))) return { is: 'bad' };
    return { is: 'passed', finding: { verdict: 'passed', signedBy: verified.signedBy, signature: digest } };
  } catch (error) {
    return verdictOf(error, digest);
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
