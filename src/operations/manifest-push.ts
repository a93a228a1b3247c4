import { pushManifest, type UploadProgress } from '../oras/index.js';
import type { manifestPush } from './manifest-push.schema.js';
import { described, tagsOf, type Operation } from './operation.js';

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
  const { repository, digest } = opened;
  const { mediaType = input.file.mediaType, concurrency } = input;
  const tags = tagsOf(opened, input.tags);
  const onTagged = (tag: string): void => event?.({ state: 'tagged', tag });
  const options = { signal, tags, digest, mediaType, concurrency, onProgress: event, onTagged };
  const descriptor = await pushManifest(repository, bytes, options);
  return { output: { ...described(repository.name, descriptor), tags }, digest: descriptor.digest };
};
