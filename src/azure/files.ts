import { Readable } from 'node:stream';
import type { BlobServiceClient, BlockBlobClient } from '@azure/storage-blob';
import { IntegrityError } from '../oci/index.js';
import type { FileContainer, Files } from '../ports/files.js';
import { checkedBlobName } from './documents.js';
import { callStorage, callStorageUnless, storageError } from './storage-errors.js';

/** The most bytes of one pulled file. `FILE_TOO_LARGE` */
const FILE_BYTES = 16 * 1024 * 1024 * 1024;

const NOT_FOUND = [404];
const BLOCK_BYTES = 4 * 1024 * 1024;
const BLOCKS_AT_ONCE = 2;

/** The port Files, implemented with blobs. */
export function blobFiles(service: BlobServiceClient): Files {
  const blob = (container: FileContainer, name: string): BlockBlobClient =>
    service.getContainerClient(container).getBlockBlobClient(checkedBlobName(container, name));
  const whatOf = (container: FileContainer, name: string): string => `blob ${container}/${name}`;
  return {
    async sizeOf(container, name) {
      const properties = await callStorageUnless(whatOf(container, name), NOT_FOUND, () =>
        blob(container, name).getProperties(),
      );
      return properties?.contentLength;
    },
    async *list(container, prefix) {
      const what = whatOf(container, `${prefix}…`);
      try {
        for await (const { name, properties } of service.getContainerClient(container).listBlobsFlat({ prefix })) {
          yield { name, sizeBytes: properties.contentLength ?? 0 };
        }
      } catch (error) {
        throw storageError(what, error);
      }
    },
    async *open(container, name) {
      const what = whatOf(container, name);
      const answer = await callStorage(what, () => blob(container, name).download());
      try {
        for await (const chunk of answer.readableStreamBody ?? []) yield Buffer.from(chunk);
      } catch (error) {
        throw storageError(what, error);
      }
    },
    async put(container, name, content, { signal } = {}) {
      const what = whatOf(container, name);
      await callStorage(what, () =>
        blob(container, name).uploadStream(Readable.from(bounded(what, content)), BLOCK_BYTES, BLOCKS_AT_ONCE, {
          ...(signal && { abortSignal: signal }),
        }),
      );
    },
  };
}

async function* bounded(what: string, content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let sizeBytes = 0;
  for await (const chunk of content) {
    sizeBytes += chunk.length;
    if (sizeBytes > FILE_BYTES) {
      throw new IntegrityError('FILE_TOO_LARGE', `${what} is more than ${FILE_BYTES} bytes`, {
        details: { what, limitBytes: FILE_BYTES },
      });
    }
    yield chunk;
  }
}
