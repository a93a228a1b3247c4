import type { OpenBody } from '../oci/index.js';
import { pushBlob, type Moving, type UploadProgress } from '../oras/index.js';
import type { blobPush } from './blob-push.schema.js';
import { described, digestOf, type Opened, type OperationResult, type Progress } from './operation.js';
import type { InputOf } from './operation-schema.js';

/** Pushes a blob. @param open the content of the input's file; it is read twice */
export async function run(
  opened: Opened,
  { file: { mediaType }, size }: InputOf<typeof blobPush>,
  open: OpenBody,
  { signal, event }: Progress<UploadProgress | Moving>,
): Promise<OperationResult> {
  const { repository } = opened;
  const descriptor = await pushBlob(repository, open, {
    signal,
    ...digestOf(opened),
    ...(size !== undefined && { size }),
    ...(mediaType !== undefined && { mediaType }),
    ...(event && { onProgress: event }),
  });
  return { output: described(repository.name, descriptor), digest: descriptor.digest };
}
