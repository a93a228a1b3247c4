import { createIndex, type IndexProgress, type WrittenIndex } from '../oras/index.js';
import type { manifestIndexCreate } from './manifest-index-create.schema.js';
import { described, tagsOf, type OperationResult, type Operation } from './operation.js';

/** `push: false` creates the index without pushing it. */
export interface IndexFiles {
  push?: boolean;
}

/** The result of an operation that writes an index, with the index. */
export type IndexResult = OperationResult & Pick<WrittenIndex, 'bytes'>;

/** Creates an index of manifests of one repository. */
export const run: Operation<typeof manifestIndexCreate, IndexFiles, IndexProgress, IndexResult> = async (
  opened,
  { reference: _reference, manifests, distributionSpec: _spec, tags: more, ...options },
  files,
  { signal, event },
) => {
  const { repository, digest } = opened;
  const tags = tagsOf(opened, more);
  const how = { ...options, ...files, digest, signal, tags, onProgress: event };
  const { descriptor, bytes } = await createIndex(repository, manifests, how);
  return { output: { ...described(repository.name, descriptor), tags }, digest: descriptor.digest, bytes };
};
