import { updateIndex, type IndexProgress } from '../oras/index.js';
import type { IndexFiles, IndexResult } from './manifest-index-create.js';
import type { manifestIndexUpdate } from './manifest-index-update.schema.js';
import { described, tagOrDigestOf, tagsOf, type Operation } from './operation.js';

/** Changes an index. A tag is moved to the new index. The old index still exists under its digest. */
export const run: Operation<typeof manifestIndexUpdate, IndexFiles, IndexProgress, IndexResult> = async (
  opened,
  { reference: _reference, distributionSpec: _spec, tags: extraTags = [], ...changes },
  files,
  { signal, event },
) => {
  const { repository } = opened;
  const tags = tagsOf(opened);
  const how = { ...changes, ...files, signal, tags, extraTags, onProgress: event };
  const { descriptor, bytes } = await updateIndex(repository, tagOrDigestOf(opened), how);
  const output = { ...described(repository.name, descriptor), tags: [...tags, ...extraTags] };
  return { output, digest: descriptor.digest, bytes };
};
