import { parsePlatform, pushFiles, type PushProgress } from '../oras/index.js';
import { described, tagsOf, type Operation } from './operation.js';
import { packingOf, type Packed, type PackingFiles } from './packing.js';
import type { push } from './push.schema.js';

/** Pushes files as an artifact. Can be repeated, because the same files give the same digest. */
export const run: Operation<typeof push, PackingFiles, PushProgress, Packed> = async (
  opened,
  input,
  files,
  { signal, text, event },
) => {
  const { repository, digest } = opened;
  const { artifactPlatform, imageSpec } = input;
  const platform = artifactPlatform === undefined ? undefined : parsePlatform(artifactPlatform, '');
  const how = { digest, tags: tagsOf(opened, input.tags), platform, imageSpec, signal, onProgress: event };
  const { descriptor, manifest, tags } = await pushFiles(
    { repository, files: files.source },
    { ...packingOf(input, files), ...how },
  );
  text?.(`pushed ${repository.name}@${descriptor.digest}`);
  return { output: { ...described(repository.name, descriptor), tags }, digest: descriptor.digest, manifest };
};
