import { ConfigurationError, packArtifact, type Descriptor, type Repository } from '../oci/index.js';
import { signNotary, type Signer } from '../signing/index.js';
import { z } from 'zod';
import { attachPacked, readAt, type Attaching } from './attach-packed.js';
import type { InputOf, ResultOf, attachSignatureContract } from './contracts.js';
import { findOurSignature, leafThumbprint } from './our-signature.js';
import type { Ports, StepCall, StepReply, StorePort } from './ports.js';
import { subjectLease, underLease } from './under-lease.js';

type Input = InputOf<typeof attachSignatureContract>;
type SigningPorts = Pick<Ports, 'registries' | 'signer' | 'documents' | 'now'> & StorePort<'markOurs'>;

/**
 * Attaches our Notary signature to one manifest, where it has none that verifies.
 * @throws ConfigurationError `SIGNING_KEY_MISSING`, `SOURCE_NOT_WRITABLE`; PolicyError `DESTINATION_LOCKED`
 */
export async function attachSignatureStep(
  ports: SigningPorts & Pick<Ports, 'lease'>,
  input: Pick<Input, 'source' | 'subject'> & Partial<Input>,
  { signal, finish = signal, progress }: StepCall,
): Promise<StepReply<ResultOf<typeof attachSignatureContract>>> {
  const { registry, repository: name } = input.at ?? input.source;
  return underLease(ports, subjectLease(registry, name, input.subject.digest), signal, async (held, lease) => {
    const lasting = AbortSignal.any([finish, lease.signal]);
    const signed = await signSubject(ports, input, input.subject, held, lasting);
    progress.text(`${signed.made ? 'signed' : 'was signed already'}: ${signed.signature}`);
    return signed;
  });
}

/** The key that signs. @throws ConfigurationError `SIGNING_KEY_MISSING` */
export function signerOf(ports: Pick<Ports, 'signer'>): Signer {
  if (ports.signer !== undefined) return ports.signer;
  throw new ConfigurationError('SIGNING_KEY_MISSING', 'the rule signs, and no signing key is set', {
    remedy: 'Set SIGNING_KEY and SIGNING_CERTIFICATE_CHAIN (docs/settings.md), or give the rule "sign": [].',
  });
}

/** What is kept of a signature before it is pushed. */
const keptSchema = z.object({
  created: z.string(),
  mediaType: z.string(),
  envelope: z.base64(),
  annotations: z.record(z.string(), z.string()),
});

/**
 * Signs a subject whose lease the caller holds. A signature made with ECDSA differs each time, so it is first kept by subject,
 * format and key, and the kept one is what everybody pushes: a crash or a late second holder makes no second signature.
 */
export async function signSubject(
  ports: SigningPorts,
  where: Attaching,
  subject: Descriptor,
  signal: AbortSignal,
  /** For its push, which is not left half made. */
  lasting = signal,
): Promise<ResultOf<typeof attachSignatureContract>> {
  const signer = signerOf(ports);
  const { registry, repository: repositoryName } = where.at ?? where.source;
  const repository: Repository = ports.registries.repository(registry, repositoryName);
  const existing = await findOurSignature(repository, subject, signer, ports.now(), signal);
  if (existing !== undefined) return { signature: existing.digest, made: false };
  // What is attached to a subject that is gone is never cleared away.
  await readAt(where, () => repository.resolve(subject.digest, { signal }));
  const made = await signNotary(subject, signer, { signingTime: ports.now(), signal });
  const fresh = {
    created: ports.now().toISOString(),
    mediaType: made.layer.mediaType,
    envelope: Buffer.from(made.layer.bytes).toString('base64'),
    annotations: made.annotations,
  };
  const name = `signatures/${subject.digest.replace(':', '-')}/notary-${leafThumbprint(signer)}.json`;
  const stored = await ports.documents.putIfAbsent('documents', name, Buffer.from(JSON.stringify(fresh)));
  const kept = keptSchema.parse(JSON.parse(Buffer.from(stored).toString('utf8')));
  const packed = packArtifact({
    artifactType: made.artifactType,
    layers: [{ mediaType: kept.mediaType, bytes: Buffer.from(kept.envelope, 'base64') }],
    subject,
    annotations: { ...kept.annotations, 'org.opencontainers.image.created': kept.created },
  });
  await ports.store.markOurs({ registry, repository: repositoryName, digest: packed.descriptor.digest }, where.runId);
  signal.throwIfAborted();
  await attachPacked(where, repository, packed, lasting);
  return { signature: packed.descriptor.digest, made: true };
}
