import type { OpenBody } from '../oci/index.js';
import { pushBlob, type Moving, type UploadProgress } from '../oras/index.js';
import type { blobPush } from './blob-push.schema.js';
import { described, digestOf, type Operation } from './operation.js';

/** Pushes a blob. @param open the content of the input's file; it is read twice */
export const run: Operation<typeof blobPush, OpenBody, UploadProgress | Moving> = async (
  opened,
  { file: { mediaType }, size },
  open,
  { signal, event },
) => {
  const { repository } = opened;
  const descriptor = await pushBlob(repository, open, {
    signal,
    ...digestOf(opened),
    ...(size !== undefined && { size }),
    ...(mediaType !== undefined && { mediaType }),
    ...(event && { onProgress: event }),
  });
  return { output: described(repository.name, descriptor), digest: descriptor.digest };
};
