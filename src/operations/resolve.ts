import { described, resolveRoot, type Opened, type OperationResult, type Progress } from './operation.js';
import type { InputOf } from './operation-schema.js';
import type { resolve } from './resolve.schema.js';

/** Returns the descriptor of a tag. */
export async function run(
  opened: Opened,
  input: InputOf<typeof resolve>,
  _files: undefined,
  { signal }: Progress,
): Promise<OperationResult> {
  const root = await resolveRoot(opened, input, signal);
  return { output: described(opened.repository.name, root), digest: root.digest };
}
