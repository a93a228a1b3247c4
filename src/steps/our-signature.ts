import { createHash } from 'node:crypto';
import {
  InputError,
  IntegrityError,
  PromoterError,
  RegistryError,
  parseManifest,
  type Descriptor,
  type ReadableRepository,
} from '../oci/index.js';
import { NOTARY_SIGNATURE, verifyNotary, type Signer, type VerifiedSignature } from '../signing/index.js';
import { STEP_LIMITS } from './limits.js';

/** A notary signature that refers to a subject. */
export interface FoundSignature {
  descriptor: Descriptor;
  envelope: Uint8Array;
  mediaType: string;
}

/** Tells whether signatures have come or gone: a hash of the digests of those that refer to `subject`. */
export async function signaturesHash(
  repository: ReadableRepository,
  subject: Pick<Descriptor, 'digest'>,
  signal: AbortSignal,
): Promise<string> {
  const listed = await repository.listReferrers(subject.digest, { artifactType: NOTARY_SIGNATURE, signal });
  const digests = listed.map(({ digest }) => digest).sort();
  return createHash('sha256').update(digests.join(' ')).digest('hex').slice(0, 16);
}

/** Where a signature says by whose certificates it was made: cheap to read, and worth nothing until it verifies. */
const THUMBPRINTS = 'io.cncf.notary.x509chain.thumbprint#S256';

/**
 * Reads the notary signatures that refer to `subject`: bounded in number and size, in the order of the list. Anybody may attach
 * anything, so what cannot be read is passed over: it is no signature, and must not keep a good one from being found.
 * @param first thumbprint of the certificate whose signatures come first, so that heaps of others don't hide them
 */
export async function* readSignatures(
  repository: ReadableRepository,
  subject: Descriptor,
  signal: AbortSignal,
  first?: string,
): AsyncGenerator<FoundSignature> {
  const listed = await repository.listReferrers(subject.digest, { artifactType: NOTARY_SIGNATURE, signal });
  const rank = ({ annotations }: Descriptor): number =>
    first !== undefined && annotations?.[THUMBPRINTS]?.includes(first) === true ? 0 : 1;
  listed.sort((a, b) => rank(a) - rank(b));
  for (const descriptor of listed.slice(0, STEP_LIMITS.signaturesRead)) {
    let found: FoundSignature | undefined;
    try {
      found = await readSignature(repository, subject, descriptor, signal);
    } catch (error) {
      // Malformed, not what its digest says, or gone since it was listed.
      const unreadable = error instanceof InputError || error instanceof IntegrityError;
      if (!unreadable && !(error instanceof RegistryError && error.notFound)) throw error;
    }
    if (found !== undefined) yield found;
  }
}

async function readSignature(
  repository: ReadableRepository,
  subject: Descriptor,
  descriptor: Descriptor,
  signal: AbortSignal,
): Promise<FoundSignature | undefined> {
  const { bytes, descriptor: fetched } = await repository.fetchManifest(descriptor, { signal });
  const manifest = parseManifest(bytes, fetched.mediaType, `${repository.name}@${descriptor.digest}`);
  if (manifest.kind !== 'image' || manifest.subject?.digest !== subject.digest) return undefined;
  const [layer] = manifest.layers;
  if (layer === undefined || layer.size > STEP_LIMITS.envelopeBytes) return undefined;
  return { descriptor, mediaType: layer.mediaType, envelope: await readAll(repository, layer, signal) };
}

async function readAll(repository: ReadableRepository, blob: Descriptor, signal: AbortSignal): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of await repository.openBlob(blob, { signal })) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Lower-case hex SHA-256 of the signer's leaf certificate. */
export function leafThumbprint(signer: Signer): string {
  return createHash('sha256')
    .update(signer.certificates[0] ?? new Uint8Array())
    .digest('hex');
}

/**
 * The signature over `subject` that our own key made and that verifies; undefined where there is none. Anybody can attach
 * anything, so what doesn't verify is passed over.
 */
export async function findOurSignature(
  repository: ReadableRepository,
  subject: Descriptor,
  signer: Signer,
  now: Date,
  signal: AbortSignal,
): Promise<Descriptor | undefined> {
  const root = signer.certificates.at(-1);
  if (root === undefined) return undefined;
  for await (const found of readSignatures(repository, subject, signal, leafThumbprint(signer))) {
    let verified: VerifiedSignature;
    try {
      verified = await verifyNotary({
        envelope: found.envelope,
        mediaType: found.mediaType,
        subject,
        trust: { certificates: [root], identities: ['*'] },
        now,
      });
    } catch (error) {
      if (error instanceof PromoterError && !error.transient) continue;
      throw error;
    }
    if (verified.certificateThumbprint === leafThumbprint(signer)) return found.descriptor;
  }
  return undefined;
}
