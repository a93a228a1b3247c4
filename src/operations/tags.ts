import { listTags } from '../oras/index.js';
import type { OperationResult, Operation } from './operation.js';
import type { tags } from './tags.schema.js';

/** Lists the tags of a repository. If the reference names a tag or digest, lists only tags of the same manifest. */
export const run: Operation<typeof tags, undefined, never, OperationResult<{ tags: string[] }>> = async (
  { repository, tag, digest },
  { reference: _reference, ...options },
  _files,
  { signal, text },
) => {
  const named = digest ?? tag;
  const same = named === undefined ? undefined : (await repository.resolve(named, { signal })).digest;
  const listed = await listTags(repository, { ...options, signal, digest: same });
  text?.(`${listed.length} tags`);
  return { output: { tags: listed } };
};
