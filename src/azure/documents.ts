import type { BlobServiceClient, BlockBlobClient } from '@azure/storage-blob';
import { InputError, IntegrityError, PromoterError } from '../oci/index.js';
import type { DocumentContainer, Documents } from '../ports/documents.js';
import { callStorage, callStorageUnless } from './storage-errors.js';

/** Blobs deleted in parallel. */
const REMOVED_AT_ONCE = 16;
/** The most bytes of one document. `DOCUMENT_TOO_LARGE` */
const DOCUMENT_BYTES = 64 * 1024 * 1024;

const NOT_FOUND = [404];
/** 409 BlobAlreadyExists and 412 ConditionNotMet: the service uses both for If-None-Match. */
const EXISTS = [409, 412];
const PUT_ATTEMPTS = 5;

const whatOf = (container: DocumentContainer, name: string): string => `blob ${container}/${name}`;

/** The port Documents, implemented with blobs. */
export function blobDocuments(service: BlobServiceClient): Documents {
  const blob = (container: DocumentContainer, name: string): BlockBlobClient =>
    service.getContainerClient(container).getBlockBlobClient(checkedBlobName(container, name));

  const getVersioned: Documents['getVersioned'] = async (container, name) => {
    const what = whatOf(container, name);
    return callStorageUnless(what, NOT_FOUND, async () => {
      const answer = await blob(container, name).download();
      checkSize(what, answer.contentLength ?? 0);
      const chunks: Buffer[] = [];
      for await (const chunk of answer.readableStreamBody ?? []) {
        chunks.push(Buffer.from(chunk));
      }
      return { value: new Uint8Array(Buffer.concat(chunks)), version: answer.etag ?? '' };
    });
  };
  const get: Documents['get'] = async (container, name) => (await getVersioned(container, name))?.value;
  return {
    get,
    getVersioned,
    async putVersioned(container, name, bytes, version) {
      const what = whatOf(container, name);
      checkSize(what, bytes.length);
      const conditions = version === undefined ? { ifNoneMatch: '*' } : { ifMatch: version };
      // A document that was deleted in the meantime gives 412, or 404 in some versions of the service.
      const done = await callStorageUnless(what, [...EXISTS, ...NOT_FOUND], () =>
        blob(container, name).upload(bytes, bytes.length, { conditions }),
      );
      return done?.etag;
    },
    async put(container, name, bytes) {
      const what = whatOf(container, name);
      checkSize(what, bytes.length);
      await callStorage(what, () => blob(container, name).upload(bytes, bytes.length));
    },
    async putIfAbsent(container, name, bytes) {
      const what = whatOf(container, name);
      checkSize(what, bytes.length);
      for (let attempt = 0; attempt < PUT_ATTEMPTS; attempt += 1) {
        const done = await callStorageUnless(what, EXISTS, () =>
          blob(container, name).upload(bytes, bytes.length, { conditions: { ifNoneMatch: '*' } }),
        );
        // Also if we wrote it: when the answer to an upload is lost, the SDK sends it again and finds the document
        // there.
        const kept = done === undefined ? await get(container, name) : bytes;
        if (kept !== undefined) {
          return kept;
        }
      }
      throw new PromoterError('DOCUMENT_GONE', `${what} is deleted again and again while it is written`, {
        transient: true,
        remedy:
          'The app retries. If the error persists, check whether another program or a lifecycle rule deletes blobs in this container.',
      });
    },
    async removeAll(container, prefix) {
      const what = whatOf(container, `${prefix}*`);
      checkedBlobName(container, `${prefix}x`);
      const client = service.getContainerClient(container);
      const pages = client.listBlobsFlat({ prefix }).byPage({ maxPageSize: REMOVED_AT_ONCE });
      for (;;) {
        const page = await callStorage(what, () => pages.next());
        if (page.done === true) return;
        const names = page.value.segment.blobItems.map(({ name }) => name);
        await Promise.all(
          names.map((name) => callStorage(what, () => client.getBlockBlobClient(name).deleteIfExists())),
        );
      }
    },
  };
}

/**
 * Checks a name for characters and parts that the service refuses or changes.
 * @throws InputError `DOCUMENT_NAME_INVALID`
 */
export function checkedBlobName(container: string, name: string): string {
  const parts = name.split('/');
  if (name.length > 1024 || parts.length > 250 || parts.some((part) => part === '' || part.endsWith('.'))) {
    throw invalidName(container, name);
  }
  if (/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\\\ufffe\uffff]/u.test(name)) {
    throw invalidName(container, name);
  }
  return name;
}

function invalidName(container: string, name: string): InputError {
  return new InputError(
    'DOCUMENT_NAME_INVALID',
    `${JSON.stringify(name.slice(0, 100))} is not a valid name in ${container}`,
    {
      remedy:
        'Use at most 1,024 characters, no control character, line break or backslash, and no part that is empty or ends with a dot.',
    },
  );
}

function checkSize(what: string, sizeBytes: number): void {
  if (sizeBytes > DOCUMENT_BYTES) {
    throw new IntegrityError('DOCUMENT_TOO_LARGE', `${what} has ${sizeBytes} bytes`, {
      details: { what, sizeBytes, limitBytes: DOCUMENT_BYTES },
      remedy: 'Report the problem: plans, results and signatures never have this size.',
    });
  }
}
