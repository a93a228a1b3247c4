import { described, resolveRoot, type Operation } from './operation.js';
import type { resolve } from './resolve.schema.js';

/** Returns the descriptor of a tag. */
export const run: Operation<typeof resolve> = async (opened, input, _files, { signal }) => {
  const root = await resolveRoot(opened, input, signal);
  return { output: described(opened.repository.name, root), digest: root.digest };
};
