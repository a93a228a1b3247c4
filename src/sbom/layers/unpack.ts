import type { Transform } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import {
  bareMediaType,
  InputError,
  hasTarChecksum,
  isFileSystemLayer,
  once,
  TAR_BLOCK,
  type Descriptor,
} from '../../oci/index.js';
import { piecesOf } from '../blob-pieces.js';
import { layerInvalid } from '../sbom-errors.js';
import { gunzip, openInflater } from './gunzip.js';
import { splitZstdFrames } from './zstd-frames.js';

/** Media types of file systems that a runtime can read but this code cannot. */
const UNREADABLE = /^application\/vnd\.erofs\.|\.nydus\./;
/** Media types that containerd does not decompress, whatever the first bytes are. */
const PLAIN = /^application\/vnd\.oci\.image\.layer\.(?:nondistributable\.)?v1\.tar$/;
/** Size of a decompressor's output chunks. Smaller chunks take more time, larger ones more memory. */
const CHUNK_BYTES = 256 * 1024;

/** Annotation of the layer that nydus adds to an image: an index of blobs, not files. */
const NYDUS_BOOTSTRAP = 'containerd.io/snapshot/nydus-bootstrap';

/**
 * Why a layer cannot be read, by its descriptor; undefined if it can.
 * @throws InputError `LAYER_UNSUPPORTED` for a type that no runtime documents: some unpack it all the same
 */
export function whyUnreadable(layer: Descriptor): string | undefined {
  const mediaType = bareMediaType(layer.mediaType);
  if (layer.annotations?.[NYDUS_BOOTSTRAP] !== undefined) return 'is an index of nydus blobs';
  if (mediaType.endsWith('+encrypted')) return `is encrypted (${mediaType})`;
  if (UNREADABLE.test(mediaType)) return `is ${mediaType}, which is not a tar archive`;
  if (isFileSystemLayer(layer)) return undefined;
  throw new InputError(
    'LAYER_UNSUPPORTED',
    `layer ${layer.digest} is ${mediaType}, which is not a supported tar archive`,
    { remedy: 'Build the image with tar layers (plain, gzip or zstd).' },
  );
}

/**
 * Unpacks a layer. Its media type comes first, as in containerd: a layer of OCI's type without a suffix is a plain tar.
 * Otherwise the first bytes decide between gzip, zstd and plain tar, because media types are sometimes wrong. What was
 * hashed for the config (`checkDiffId`) decides whether a runtime accepts the result.
 * The source is read to its end, so that it can verify its digest.
 * @param free memory of earlier pieces, which is used again
 * @returns pieces, each with memory of its own that can be given to another thread
 * @throws InputError `LAYER_INVALID`
 * @see https://github.com/containerd/containerd/blob/v2.4.2/core/images/mediatypes.go
 */
export async function* unpackLayer(
  source: AsyncIterable<Uint8Array>,
  { digest: layer, mediaType }: Pick<Descriptor, 'digest' | 'mediaType'>,
  onZstdFrame: (windowBytes: number) => Promise<void> | void,
  free: ArrayBuffer[] = [],
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const iterator = source[Symbol.asyncIterator]();
  const { value: head, done } = await firstBytes(iterator, TAR_BLOCK);
  const bytes = done ? once(head) : resume(head, iterator);
  // containerd refuses what is no tar here; Docker and podman look at the first bytes.
  const isPlain = PLAIN.test(bareMediaType(mediaType)) && head.length >= TAR_BLOCK && hasTarChecksum(head);
  if (!isPlain && isGzip(head)) {
    const inflater = openInflater();
    if (inflater !== undefined) yield* gunzip(bytes, layer, free, inflater);
    else yield* piecesOf(through(bytes, createGunzip({ chunkSize: CHUNK_BYTES }), layer), free);
  } else if (isPlain || !isZstd(head)) yield* piecesOf(bytes, free);
  else {
    const frames = splitZstdFrames(bytes, layer, onZstdFrame);
    yield* piecesOf(through(frames, createZstdDecompress({ chunkSize: CHUNK_BYTES }), layer), free);
  }
}

function isGzip(head: Buffer): boolean {
  return head[0] === 0x1f && head[1] === 0x8b && head[2] === 8;
}

/** True for the start of a zstd frame or skippable frame: a layer may start with either. */
function isZstd(head: Buffer): boolean {
  if (head.length < 4) return false;
  const magic = head.readUInt32LE(0);
  return magic === 0xfd2fb528 || (magic & 0xfffffff0) >>> 0 === 0x184d2a50;
}

async function firstBytes(
  iterator: AsyncIterator<Uint8Array>,
  count: number,
): Promise<{ value: Buffer; done: boolean }> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  while (bytes < count) {
    const next = await iterator.next();
    if (next.done === true) return { value: Buffer.concat(pieces), done: true };
    pieces.push(next.value);
    bytes += next.value.length;
  }
  return { value: Buffer.concat(pieces), done: false };
}

async function* resume(head: Uint8Array, iterator: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield head;
    for (;;) {
      const next = await iterator.next();
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    await iterator.return?.();
  }
}

async function* through(
  source: AsyncIterable<Uint8Array>,
  transform: Transform,
  layer: string,
): AsyncGenerator<Uint8Array> {
  let sourceError: unknown;
  let stopped = false;
  const pump = async (): Promise<void> => {
    try {
      for await (const chunk of source) {
        if (stopped) return;
        // The rest after the compressed data is read only for the digest.
        if (transform.readableEnded || transform.destroyed) continue;
        if (!transform.write(chunk)) await writable(transform);
      }
      transform.end();
    } catch (error) {
      sourceError = error;
      transform.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  };
  const pumping = pump();
  let whole = false;
  try {
    for await (const chunk of transform as AsyncIterable<Buffer>) {
      const { buffer, byteOffset, length } = chunk;
      yield new Uint8Array(buffer, byteOffset, length);
      // The decompressor fills a buffer piece by piece. Free it after the last piece, not when V8 collects garbage.
      if (byteOffset + length === buffer.byteLength) freeMemory(buffer);
    }
    whole = true;
  } catch (error) {
    throw (
      sourceError ?? (isZlibError(error) ? layerInvalid(layer, `it does not unpack: ${error.message}`, error) : error)
    );
  } finally {
    stopped = !whole;
    transform.destroy();
    if (whole) await pumping;
  }
  if (sourceError !== undefined) throw sourceError;
}

function freeMemory(buffer: ArrayBufferLike): void {
  if (buffer instanceof ArrayBuffer) buffer.transfer(0);
}

/**
 * Resolves when the stream accepts the next write, or accepts no more because it has ended, failed or been destroyed.
 */
function writable(transform: Transform): Promise<void> {
  const events = ['drain', 'end', 'error', 'close'];
  return new Promise((resolve) => {
    const done = (): void => {
      for (const event of events) transform.off(event, done);
      resolve();
    };
    for (const event of events) transform.on(event, done);
  });
}

function isZlibError(error: unknown): error is { code: string; message: string } {
  if (typeof error !== 'object' || error === null || !('code' in error)) return false;
  return typeof error.code === 'string' && /^Z(?:_|STD)/.test(error.code);
}
