import { listTags } from '../oras/index.js';
import type { Opened, OperationResult, Progress } from './operation.js';
import type { InputOf } from './operation-schema.js';
import type { tags } from './tags.schema.js';

/** Lists the tags of a repository. If the reference names a tag or digest, lists only tags of the same manifest. */
export async function run(
  { repository, tag, digest }: Opened,
  { reference: _reference, ...options }: InputOf<typeof tags>,
  _files: undefined,
  { signal, text }: Progress,
): Promise<OperationResult<{ tags: string[] }>> {
  const named = digest ?? tag;
  const listed = await listTags(repository, {
    ...options,
    signal,
    ...(named !== undefined && { digest: (await repository.resolve(named, { signal })).digest }),
  });
  text?.(`${listed.length} tags`);
  return { output: { tags: listed } };
}
