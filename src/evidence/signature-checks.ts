import {
  type Descriptor,
  type ReadableRepository,
  PromoterError,
  getOrMake,
  parseManifest,
  readBlob,
} from '../oci/index.js';
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

/** SHA-256 of the signer's leaf certificate, in lower-case hex. */
export function leafThumbprint({ certificates: [leaf] }: Signer): string {
  return leaf === undefined ? '' : thumbprint(leaf);
}

/** True if a signature verifies, was made with the app's current certificate, and has exactly this claim. */
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

// Each key of this app has a document, written before its first signature. No signature by one of these keys, present
// or former, counts as the approval of others.

type KeyPorts = Pick<Ports, 'documents' | 'now'>;

/** Keys whose document is known to exist, for each store. A key of this app stays one forever. */
const known = new WeakMap<object, Set<string>>();

function knownTo({ documents }: Pick<Ports, 'documents'>): Set<string> {
  return getOrMake(known, documents, () => new Set<string>());
}

function nameOf(hash: string): string {
  return `keys/${hash}`;
}

const hashes = new WeakMap<Uint8Array, string>();

/** SHA-256 of the public key (SubjectPublicKeyInfo), in hex. All certificates of one key have the same. */
function keyHashOf({ certificates: [leaf] }: Signer): string {
  return leaf === undefined ? '' : getOrMake(hashes, leaf, () => keyHash(leaf));
}

/** Records that this app signs with a key. Call it before the first signature. Costs one write per key and process. */
export async function recordKey(ports: KeyPorts, signer: Signer): Promise<void> {
  const hash = keyHashOf(signer);
  const keys = knownTo(ports);
  if (keys.has(hash)) return;
  const record = { firstUsedAt: ports.now().toISOString() };
  await ports.documents.putIfAbsent('documents', nameOf(hash), Buffer.from(JSON.stringify(record)));
  keys.add(hash);
}

/** True for a key that signs for this app or ever did. Costs at most one read. */
export async function isOurKey(ports: Pick<Ports, 'documents' | 'signer'>, hash: string): Promise<boolean> {
  if (ports.signer !== undefined && keyHashOf(ports.signer) === hash) return true;
  const keys = knownTo(ports);
  if (keys.has(hash)) return true;
  const isNoted = (await ports.documents.get('documents', nameOf(hash))) !== undefined;
  if (isNoted) keys.add(hash);
  return isNoted;
}

/**
 * The prefix of the app's claims in the user metadata of Notary signatures. All metadata with this prefix must be
 * known.
 */
const OURS = 'io.acr-promoter.';
const ROLE = `${OURS}role`;
const IMAGE = `${OURS}image`;

/** What a signature of this app signs, and what it says about it. */
export interface SignedClaim {
  /** Media type, digest and size as fetched. */
  subject: Pick<Descriptor, 'mediaType' | 'digest' | 'size'>;
  metadata: Readonly<Record<string, string>>;
}

/** The claim of a signature that says only that it is by this app: for an image, an index or an artifact. */
export function plainClaim(subject: SignedClaim['subject']): SignedClaim {
  return { subject, metadata: {} };
}

/** The claim that a manifest is this app's SBOM of an image. */
export function sbomClaim(sbom: SignedClaim['subject'], image: Pick<Descriptor, 'digest'>): SignedClaim {
  return { subject: sbom, metadata: { [ROLE]: 'sbom', [IMAGE]: image.digest } };
}

/** True if the metadata has exactly this claim. Metadata without the app's prefix is ignored. */
function isClaimed(signed: Readonly<Record<string, string>>, { metadata }: SignedClaim): boolean {
  const own = Object.keys(signed).filter((key) => key.startsWith(OURS));
  return own.length === Object.keys(metadata).length && own.every((key) => signed[key] === metadata[key]);
}

/** Maximum bytes of a signature envelope. Real ones have a few thousand; a larger one is no signature. */
const ENVELOPE_BYTES = 256 * 1024;

/**
 * The referrers of `subject` that may be Notary signatures. Anybody can attach them, so the list proves nothing, and no
 * entry is fetched to find its type.
 */
export function listSignatures(
  repository: ReadableRepository,
  subject: Pick<Descriptor, 'digest'>,
  signal: AbortSignal,
): Promise<Descriptor[]> {
  return repository.listReferrers(subject.digest, { artifactType: NOTARY_SIGNATURE, artifactTypes: false, signal });
}

/** A hash of the listed digests. It changes if a signature is added or removed. */
export function hashOfList(listed: readonly Descriptor[]): string {
  const digests = listed.map(({ digest }) => digest).sort();
  return createHash('sha256').update(digests.join(' ')).digest('hex').slice(0, 16);
}

/**
 * Puts signatures that name one of these certificates first, then those that name none, then the others. Otherwise
 * keeps the order of the list.
 */
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
 * Fetches a listed entry by its digest, because sizes in a list may be wrong.
 * @returns undefined if it is no signature of `subject` or is too large
 * @throws InputError, IntegrityError if it is malformed; RegistryError if it does not exist
 */
export async function fetchSignature(
  repository: ReadableRepository,
  subject: Pick<Descriptor, 'digest'>,
  { digest }: Pick<Descriptor, 'digest'>,
  signal: AbortSignal,
): Promise<FetchedSignature | undefined> {
  const { bytes, descriptor } = await repository.fetchManifest(digest, { signal });
  const manifest = parseManifest(bytes, descriptor.mediaType, `${repository.name}@${digest}`);
  if (manifest.kind !== 'image' || !isNotarySignature(manifest)) return undefined;
  const [layer, ...others] = manifest.layers;
  if (manifest.subject?.digest !== subject.digest || layer === undefined || others.length > 0) return undefined;
  if (layer.size > ENVELOPE_BYTES) return undefined;
  return { mediaType: layer.mediaType, envelope: await readBlob(repository, layer, ENVELOPE_BYTES, { signal }) };
}
