import { digestOf, type Descriptor, type OpenUpload, type PartOptions } from '../../../src/oci/index.js';
import type { MemoryRepository } from '../../support/memory-repository.js';

/** Bytes of one piece of an upload, and pieces that one call sends. */
const PIECE_BYTES = 64;
const PIECES = 2;

/** Lets a repository take blobs in pieces of uploads that are kept open from call to call, as registries do. */
export function takesPieces(repository: MemoryRepository): MemoryRepository {
  const uploads = new Map<string, Buffer>();
  let opened = 0;
  return Object.assign(repository, {
    async pushPart(
      { digest, size }: Descriptor,
      openAt: (offset: number) => Promise<AsyncIterable<Uint8Array>>,
      { from, onReached }: PartOptions,
    ): Promise<OpenUpload | undefined> {
      if (repository.blobs.has(digest)) return undefined;
      const url = from?.url ?? `upload-${(opened += 1)}`;
      let received = uploads.get(url) ?? Buffer.alloc(0);
      const chunks: Uint8Array[] = [];
      for await (const chunk of await openAt(received.length)) chunks.push(chunk);
      const rest = Buffer.concat(chunks);
      for (let piece = 0; piece < PIECES && received.length < size; piece += 1) {
        received = Buffer.concat([received, rest.subarray(piece * PIECE_BYTES, (piece + 1) * PIECE_BYTES)]);
        uploads.set(url, received);
        await onReached?.({ url, receivedBytes: received.length, chunkBytes: PIECE_BYTES, restarts: 0 });
      }
      if (received.length < size) return { url, receivedBytes: received.length, chunkBytes: PIECE_BYTES, restarts: 0 };
      if (digestOf(received) !== digest) throw new Error(`${digest} arrived as something else`);
      repository.blobs.set(digest, received);
      return undefined;
    },
  });
}
