import { updateIndex, type IndexProgress, type WrittenIndex } from '../oras/index.js';
import type { IndexFiles } from './manifest-index-create.js';
import type { manifestIndexUpdate } from './manifest-index-update.schema.js';
import { described, tagOrDigestOf, tagsOf, type Opened, type OperationResult, type Progress } from './operation.js';
import type { InputOf } from './operation-schema.js';

/** Changes an index. A tag is moved to the new index. The old index still exists under its digest. */
export async function run(
  opened: Opened,
  {
    reference: _reference,
    distributionSpec: _spec,
    tags: extraTags = [],
    ...changes
  }: InputOf<typeof manifestIndexUpdate>,
  files: IndexFiles,
  { signal, event }: Progress<IndexProgress>,
): Promise<OperationResult & Pick<WrittenIndex, 'bytes'>> {
  const { repository } = opened;
  const tags = tagsOf(opened);
  const { descriptor, bytes } = await updateIndex(repository, tagOrDigestOf(opened), {
    ...changes,
    ...files,
    signal,
    tags,
    extraTags,
    ...(event && { onProgress: event }),
  });
  const output = { ...described(repository.name, descriptor), tags: [...tags, ...extraTags] };
  return { output, digest: descriptor.digest, bytes };
}
