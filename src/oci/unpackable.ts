import type { Descriptor } from './descriptor.js';
import type { Digest } from './digest.js';
import { mapConcurrently } from './registry/concurrently.js';
import type { CallOptions, ReadableRepository } from './store.js';

/** Layers of no known type of one manifest, and their bytes, that are read to see whether a runtime would unpack one; more count as if it would. */
export const MOST_SNIFFED_LAYERS = 1000;
export const SNIFFED_BYTES = 64 * 1024 * 1024;

const BLOCK = 512;
/** Layers of one manifest that are read at once. */
const AT_ONCE = 8;
const CHECKSUM = { from: 148, to: 156 } as const;

/** What was found out of blobs in this process: strangers can list one in any number of manifests. */
const remembered = new Map<Digest, boolean>();
/** Blobs that are remembered; the oldest is forgotten first. */
const REMEMBERED = 10_000;

/**
 * True if a runtime would unpack one of these layers: it begins as a tar archive or is compressed, or there is too much to look at.
 * podman, CRI-O and Docker do not ask for a layer's media type. Each is read as a whole, so that its digest is verified.
 */
export async function isAnyUnpackable(
  repository: Pick<ReadableRepository, 'openBlob'>,
  layers: readonly Descriptor[],
  options: CallOptions = {},
): Promise<boolean> {
  // One layer may be listed thousands of times.
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
    if (head.length < BLOCK) head = Buffer.concat([head, chunk.subarray(0, BLOCK)]);
  }
  const found = isCompressed(head) || isTarHeader(head);
  if (remembered.size >= REMEMBERED) remembered.delete(remembered.keys().next().value ?? blob.digest);
  remembered.set(blob.digest, found);
  return found;
}

/** What containers/image and Docker decompress, by its first bytes: gzip, bzip2, xz, zstd with its skippable frames. */
function isCompressed(head: Buffer): boolean {
  const begins = (magic: string): boolean => head.subarray(0, magic.length / 2).toString('hex') === magic;
  const isSkippable = head.length >= 4 && (head.readUInt32LE(0) & 0xfffffff0) >>> 0 === 0x184d2a50;
  return ['1f8b', '425a68', 'fd377a585a00', '28b52ffd'].some(begins) || isSkippable;
}

/** A header whose checksum is right, of any kind of tar: Go's archive/tar asks for nothing else. */
function isTarHeader(head: Buffer): boolean {
  if (head.length < BLOCK) return false;
  const octal = head.toString('latin1', CHECKSUM.from, CHECKSUM.to).replaceAll(/^[ \0]+|[ \0].*$/gs, '');
  // Nothing at all is a zero, which signed bytes can add up to.
  if (!/^[0-7]*$/.test(octal)) return false;
  let unsigned = 0;
  let signed = 0;
  for (let at = 0; at < BLOCK; at += 1) {
    const byte = at >= CHECKSUM.from && at < CHECKSUM.to ? 0x20 : head.readUInt8(at);
    unsigned += byte;
    signed += byte > 127 ? byte - 256 : byte;
  }
  const wanted = Number.parseInt(octal || '0', 8);
  return wanted === unsigned || wanted === signed;
}
