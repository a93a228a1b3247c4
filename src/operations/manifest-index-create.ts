import { createIndex, type IndexProgress, type WrittenIndex } from '../oras/index.js';
import type { manifestIndexCreate } from './manifest-index-create.schema.js';
import { described, digestOf, tagsOf, type Opened, type OperationResult, type Progress } from './operation.js';
import type { InputOf } from './operation-schema.js';

/** `push: false` creates the index without pushing it. */
export interface IndexFiles {
  push?: boolean;
}

/** Creates an index of manifests of one repository. */
export async function run(
  opened: Opened,
  {
    reference: _reference,
    manifests,
    distributionSpec: _spec,
    tags: more,
    ...options
  }: InputOf<typeof manifestIndexCreate>,
  files: IndexFiles,
  { signal, event }: Progress<IndexProgress>,
): Promise<OperationResult & Pick<WrittenIndex, 'bytes'>> {
  const { repository } = opened;
  const tags = tagsOf(opened, more);
  const { descriptor, bytes } = await createIndex(repository, manifests, {
    ...options,
    ...files,
    ...digestOf(opened),
    signal,
    tags,
    ...(event && { onProgress: event }),
  });
  return { output: { ...described(repository.name, descriptor), tags }, digest: descriptor.digest, bytes };
}
