import type { Descriptor } from './descriptor.js';
import type { Digest } from './digest.js';
import { remember } from './memo.js';
import { mapConcurrently } from './concurrency.js';
import type { CallOptions, ReadableRepository } from './repository.js';
import { hasTarChecksum, TAR_BLOCK } from './tar-header.js';

/**
 * Layers without a known type are read to see whether a runtime would unpack one: at most so many of a manifest, and so
 * many bytes. If the manifest has more, a runtime is assumed to unpack one.
 */
export const MOST_SNIFFED_LAYERS = 1000;
export const SNIFFED_BYTES = 64 * 1024 * 1024;

/** Layers of one manifest that are read at once. */
const AT_ONCE = 8;

/** Results of this process by blob. Strangers can list one blob in any number of manifests. */
const remembered = new Map<Digest, boolean>();
/** Maximum number of remembered blobs; the oldest is dropped first. */
const REMEMBERED = 10_000;

/**
 * True if a runtime would unpack one of these layers: it starts like a tar archive or compressed data, or there is too
 * much to read. podman, CRI-O and Docker ignore a layer's media type. Each layer is read to its end, so that its digest
 * is verified.
 */
export async function isAnyUnpackable(
  repository: Pick<ReadableRepository, 'openBlob'>,
  layers: readonly Descriptor[],
  options: CallOptions = {},
): Promise<boolean> {
  // A manifest may list one layer thousands of times.
  const each = [...new Map(layers.map((layer) => [layer.digest, layer])).values()];
  const bytes = each.reduce((total, { size }) => total + size, 0);
  if (each.length > MOST_SNIFFED_LAYERS || bytes > SNIFFED_BYTES) return true;
  const found = await mapConcurrently(each, AT_ONCE, (layer) => isUnpackable(repository, layer, options));
  return found.includes(true);
}

async function isUnpackable(
  repository: Pick<ReadableRepository, 'openBlob'>,
  blob: Descriptor,
  options: CallOptions,
): Promise<boolean> {
  const known = remembered.get(blob.digest);
  if (known !== undefined) return known;
  let head = Buffer.alloc(0);
  for await (const chunk of await repository.openBlob(blob, options)) {
    if (head.length < TAR_BLOCK) head = Buffer.concat([head, chunk.subarray(0, TAR_BLOCK)]);
  }
  const found = isCompressed(head) || (head.length === TAR_BLOCK && hasTarChecksum(head));
  remember(remembered, blob.digest, found, REMEMBERED);
  return found;
}

/**
 * True for the formats that containers/image and Docker decompress, recognized by their first bytes: gzip, bzip2, xz
 * and zstd with its skippable frames.
 */
function isCompressed(head: Buffer): boolean {
  const begins = (magic: string): boolean => head.subarray(0, magic.length / 2).toString('hex') === magic;
  const isSkippable = head.length >= 4 && (head.readUInt32LE(0) & 0xfffffff0) >>> 0 === 0x184d2a50;
  return ['1f8b', '425a68', 'fd377a585a00', '28b52ffd'].some(begins) || isSkippable;
}
