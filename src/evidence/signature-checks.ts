import { type Descriptor, type ReadableRepository, PromoterError, parseManifest } from '../oci/index.js';
import {
  type Signer,
  thumbprintsOf,
  thumbprint,
  verifyNotary,
  type VerifiedSignature,
  keyHash,
  isNotarySignature,
  NOTARY_SIGNATURE,
} from '../signing/index.js';
import type { Ports } from '../ports/ports.js';
import { createHash } from 'node:crypto';

/** Lower-case hex SHA-256 of the signer's leaf certificate. */
export function leafThumbprint({ certificates: [leaf] }: Signer): string {
  return leaf === undefined ? '' : thumbprint(leaf);
}

/** True for a signature that verifies, was made with our present certificate, and claims what it should. */
export async function isSignedByUs(
  claim: SignedClaim,
  { mediaType, envelope }: { mediaType: string; envelope: Uint8Array },
  signer: Signer,
  now: Date,
): Promise<boolean> {
  const root = signer.certificates.at(-1);
  if (root === undefined) return false;
  let verified: VerifiedSignature;
  try {
    const trust = { certificates: [root], identities: ['*'] };
    verified = await verifyNotary({ envelope, mediaType, subject: claim.subject, trust, now });
  } catch (error) {
    if (error instanceof PromoterError && !error.transient) return false;
    throw error;
  }
  return verified.certificateThumbprint === leafThumbprint(signer) && isClaimed(verified.metadata, claim);
}

// Every key that has signed here is a document, written before its first signature. No signature by one of them, present or former,
// stands for somebody else's approval.

type KeyPorts = Pick<Ports, 'documents' | 'now'>;

/** Keys that are known to have their document, for each store: a key never stops being ours. */
const known = new WeakMap<object, Set<string>>();

function knownTo({ documents }: Pick<Ports, 'documents'>): Set<string> {
  const keys = known.get(documents) ?? new Set<string>();
  known.set(documents, keys);
  return keys;
}

function nameOf(hash: string): string {
  return `keys/${hash}`;
}

const hashes = new WeakMap<Uint8Array, string>();

/** SHA-256 of the public key (SubjectPublicKeyInfo) that signs, hex: the same for each certificate around it. */
function keyHashOf({ certificates: [leaf] }: Signer): string {
  if (leaf === undefined) return '';
  const hash = hashes.get(leaf) ?? keyHash(leaf);
  hashes.set(leaf, hash);
  return hash;
}

/** Notes that a key signs here. To be called before it does; costs one write for each key and process. */
export async function noteKey(ports: KeyPorts, signer: Signer): Promise<void> {
  const hash = keyHashOf(signer);
  const keys = knownTo(ports);
  if (keys.has(hash)) return;
  const note = { firstUsedAt: ports.now().toISOString() };
  await ports.documents.putIfAbsent('documents', nameOf(hash), Buffer.from(JSON.stringify(note)));
  keys.add(hash);
}

/** True for a key that signs here, or ever did. One read, and none for a key that is known. */
export async function isOurKey(ports: Pick<Ports, 'documents' | 'signer'>, hash: string): Promise<boolean> {
  if (ports.signer !== undefined && keyHashOf(ports.signer) === hash) return true;
  const keys = knownTo(ports);
  if (keys.has(hash)) return true;
  const isNoted = (await ports.documents.get('documents', nameOf(hash))) !== undefined;
  if (isNoted) keys.add(hash);
  return isNoted;
}

/** What our signatures may say of what they sign, as Notary user metadata. Nothing else may begin so. */
const OURS = 'io.acr-promoter.';
const ROLE = `${OURS}role`;
const IMAGE = `${OURS}image`;

/** What one of our signatures is over, and what it says of it. */
export interface SignedClaim {
  /** Media type, digest and size as fetched. */
  subject: Pick<Descriptor, 'mediaType' | 'digest' | 'size'>;
  metadata: Readonly<Record<string, string>>;
}

/** A signature that says no more than that it is ours: of an image, an index, an artifact. */
export function plainClaim(subject: SignedClaim['subject']): SignedClaim {
  return { subject, metadata: {} };
}

/** That a manifest is the SBOM that we made of an image. */
export function sbomClaim(sbom: SignedClaim['subject'], image: Pick<Descriptor, 'digest'>): SignedClaim {
  return { subject: sbom, metadata: { [ROLE]: 'sbom', [IMAGE]: image.digest } };
}

/** True if the metadata of a signature is this claim, no more and no less; keys of others do not count. */
function isClaimed(signed: Readonly<Record<string, string>>, { metadata }: SignedClaim): boolean {
  const own = Object.keys(signed).filter((key) => key.startsWith(OURS));
  return own.length === Object.keys(metadata).length && own.every((key) => signed[key] === metadata[key]);
}

/** Bytes of one signature envelope that are read; real ones have a few thousand. A larger one is none. */
const ENVELOPE_BYTES = 256 * 1024;

/**
 * What may be a Notary signature that refers to `subject`, as the registry lists it. Anybody may attach anything, so nothing of it is
 * believed, and no entry is fetched to find out its type.
 */
export function listSignatures(
  repository: ReadableRepository,
  subject: Pick<Descriptor, 'digest'>,
  signal: AbortSignal,
): Promise<Descriptor[]> {
  return repository.listReferrers(subject.digest, { artifactType: NOTARY_SIGNATURE, artifactTypes: false, signal });
}

/** Tells whether signatures have come or gone: a hash of the digests of those that are listed. */
export function hashOfList(listed: readonly Descriptor[]): string {
  const digests = listed.map(({ digest }) => digest).sort();
  return createHash('sha256').update(digests.join(' ')).digest('hex').slice(0, 16);
}

/** Those that name one of these certificates first, then those that name none, then the rest; else in the order of the list. */
export function rankSignatures(listed: readonly Descriptor[], thumbprints: ReadonlySet<string>): Descriptor[] {
  const rankOf = (entry: Descriptor): number => {
    const named = thumbprintsOf(entry);
    if (named.some((thumbprint) => thumbprints.has(thumbprint))) return 0;
    return named.length === 0 ? 1 : 2;
  };
  const ranked = listed.map((entry) => ({ entry, rank: rankOf(entry) }));
  return ranked.sort((a, b) => a.rank - b.rank).map(({ entry }) => entry);
}

/** A Notary signature as it was fetched. */
export interface FetchedSignature {
  mediaType: string;
  envelope: Uint8Array;
}

/**
 * Fetches one entry of a list, by its digest: sizes in a list may lie.
 * @returns undefined for what is no signature of `subject`, or is larger than one; with `bytes`, what was fetched for it
 * @throws InputError, IntegrityError for what is malformed; RegistryError for what is not there
 */
export async function fetchSignature(
  repository: ReadableRepository,
  subject: Pick<Descriptor, 'digest'>,
  { digest }: Pick<Descriptor, 'digest'>,
  signal: AbortSignal,
): Promise<{ signature?: FetchedSignature; bytes: number }> {
  const { bytes, descriptor } = await repository.fetchManifest(digest, { signal });
  const manifest = parseManifest(bytes, descriptor.mediaType, `${repository.name}@${digest}`);
  const none = { bytes: bytes.length };
  if (manifest.kind !== 'image' || !isNotarySignature(manifest)) return none;
  const [layer, ...others] = manifest.layers;
  if (manifest.subject?.digest !== subject.digest || layer === undefined || others.length > 0) return none;
  if (layer.size > ENVELOPE_BYTES) return none;
  const chunks: Uint8Array[] = [];
  for await (const chunk of await repository.openBlob(layer, { signal })) chunks.push(chunk);
  return {
    signature: { mediaType: layer.mediaType, envelope: Buffer.concat(chunks) },
    bytes: bytes.length + layer.size,
  };
}
