import { pushManifest, type UploadProgress } from '../oras/index.js';
import type { manifestPush } from './manifest-push.schema.js';
import { described, digestOf, tagsOf, type Operation } from './operation.js';

export type ManifestPushEvent = UploadProgress | { state: 'tagged'; tag: string };

/**
 * Pushes a manifest unchanged.
 * @param bytes the content of the input's file
 */
export const run: Operation<typeof manifestPush, Uint8Array, ManifestPushEvent> = async (
  opened,
  input,
  bytes,
  { signal, event },
) => {
  const { repository } = opened;
  const { mediaType = input.file.mediaType, concurrency } = input;
  const tags = tagsOf(opened, input.tags);
  const descriptor = await pushManifest(repository, bytes, {
    signal,
    tags,
    ...digestOf(opened),
    ...(mediaType !== undefined && { mediaType }),
    ...(concurrency !== undefined && { concurrency }),
    ...(event && { onProgress: event, onTagged: (tag) => event({ state: 'tagged', tag }) }),
  });
  return { output: { ...described(repository.name, descriptor), tags }, digest: descriptor.digest };
};
