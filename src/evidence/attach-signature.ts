import type { Attachments } from '../ports/attachments.js';
import { ConfigurationError, PolicyError, type Descriptor, type Digest, type Repository } from '../oci/index.js';
import type { Signer } from '../signing/index.js';
import { attachPacked, readAt, type Attaching } from './attach-packed.js';
import { noteKey } from './our-keys.js';
import { findOurSignature } from './our-signature.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall, StepReply } from '../ports/step.js';
import type { StorePort } from '../ports/store.js';
import { recordSignature } from './recorded-signature.js';
import { plainClaim, type SignedClaim } from './signed-claim.js';
import { subjectLease, underLease } from '../transfer/under-lease.js';

/** Which subject is signed, and where it stands. */
interface Input extends Attaching {
  subject: SignedClaim['subject'];
}

interface Signed {
  signature: Digest;
  made: boolean;
}

type SigningPorts = Pick<Ports, 'registries' | 'signer' | 'documents' | 'now'> & StorePort<Attachments>;

/**
 * Attaches our Notary signature to one manifest, where it has none that verifies.
 * @throws ConfigurationError `SIGNING_KEY_MISSING`, `SOURCE_NOT_WRITABLE`; PolicyError `DESTINATION_LOCKED`
 */
export async function attachSignatureStep(
  ports: SigningPorts & Pick<Ports, 'lease'>,
  input: Input,
  call: StepCall,
): Promise<StepReply<Signed>> {
  const { signal, finish = signal, progress } = call;
  const { registry, repository: name } = input.at ?? input.source;
  return underLease(ports, subjectLease(registry, name, input.subject.digest), signal, async (held, lease) => {
    const lasting = AbortSignal.any([finish, lease.signal]);
    const signed = await signSubject(ports, input, plainClaim(input.subject), held, lasting);
    progress.text(`${signed.made ? 'signed' : 'was signed already'}: ${signed.signature}`);
    return signed;
  });
}

/** The key that signs. @throws ConfigurationError `SIGNING_KEY_MISSING` */
export function signerOf(ports: Pick<Ports, 'signer'>): Signer {
  if (ports.signer !== undefined) return ports.signer;
  throw new ConfigurationError('SIGNING_KEY_MISSING', 'the rule signs, and no signing key is set', {
    remedy: 'Set SIGNING_KEY and SIGNING_CERTIFICATE_CHAIN (docs/reference/settings.md), or give the rule "sign": [].',
  });
}

/**
 * Signs a subject whose lease the caller holds, where our signature with this claim is not there yet. We sign what was fetched: the
 * registry must give the subject the media type and the size that the claim says.
 * @throws PolicyError `DESCRIPTOR_MISMATCH`; as {@link recordSignature}
 */
export async function signSubject(
  ports: SigningPorts,
  where: Attaching,
  claim: SignedClaim,
  signal: AbortSignal,
  /** For its push, which is not left half made. */
  lasting = signal,
): Promise<Signed> {
  const signer = signerOf(ports);
  const { subject } = claim;
  const { registry, repository: repositoryName } = where.at ?? where.source;
  const repository: Repository = ports.registries.repository(registry, repositoryName);
  await noteKey(ports, signer);
  const existing = await findOurSignature(ports, repository, claim, signer, signal);
  if (existing !== undefined) return { signature: existing.digest, made: false };
  // What is attached to a subject that is gone is never cleared away.
  checkIsSame(repository.name, subject, await readAt(where, () => repository.resolve(subject.digest, { signal })));
  const packed = await recordSignature(ports, claim, signer, signal);
  await ports.store.markOurs({ registry, repository: repositoryName, digest: packed.descriptor.digest }, where.runId);
  signal.throwIfAborted();
  await attachPacked(where, repository, packed, lasting);
  return { signature: packed.descriptor.digest, made: true };
}

function checkIsSame(name: string, subject: SignedClaim['subject'], found: Descriptor): void {
  if (found.mediaType === subject.mediaType && found.size === subject.size) return;
  throw new PolicyError(
    'DESCRIPTOR_MISMATCH',
    `${name}@${subject.digest} is ${found.mediaType} of ${found.size} bytes, not ${subject.mediaType} of ${subject.size} bytes`,
    { remedy: 'Build the index again from the manifests that it lists.' },
  );
}
