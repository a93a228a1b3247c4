import { createHash } from 'node:crypto';
import { parseManifest, type Descriptor, type ReadableRepository } from '../oci/index.js';
import { isNotarySignature, NOTARY_SIGNATURE, thumbprintsOf } from '../signing/index.js';

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
