import type { OpenBody } from '../oci/index.js';
import { pushBlob, type Moving, type UploadProgress } from '../oras/index.js';
import type { blobPush } from './blob-push.schema.js';
import { described, type Operation } from './operation.js';

/** Pushes a blob. @param open the content of the input's file; it is read twice */
export const run: Operation<typeof blobPush, OpenBody, UploadProgress | Moving> = async (
  { repository, digest },
  { file: { mediaType }, size },
  open,
  { signal, event },
) => {
  const descriptor = await pushBlob(repository, open, { signal, digest, size, mediaType, onProgress: event });
  return { output: described(repository.name, descriptor), digest: descriptor.digest };
};
