import { parsePlatform, pushFiles, type PushProgress } from '../oras/index.js';
import { described, digestOf, tagsOf, type Operation } from './operation.js';
import { packingOf, type Packed, type PackingFiles } from './packing.js';
import type { push } from './push.schema.js';

/** Pushes files as an artifact. Can be repeated, because the same files give the same digest. */
export const run: Operation<typeof push, PackingFiles, PushProgress, Packed> = async (
  opened,
  input,
  files,
  { signal, text, event },
) => {
  const { repository } = opened;
  const { artifactPlatform, imageSpec } = input;
  const { descriptor, manifest, tags } = await pushFiles(
    { repository, files: files.source },
    {
      ...packingOf(input, files),
      ...digestOf(opened),
      tags: tagsOf(opened, input.tags),
      ...(artifactPlatform !== undefined && { platform: parsePlatform(artifactPlatform, '') }),
      ...(imageSpec !== undefined && { imageSpec }),
      signal,
      ...(event && { onProgress: event }),
    },
  );
  text?.(`pushed ${repository.name}@${descriptor.digest}`);
  return { output: { ...described(repository.name, descriptor), tags }, digest: descriptor.digest, manifest };
};
