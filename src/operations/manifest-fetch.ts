import { contentOf } from './content.js';
import type { manifestFetch } from './manifest-fetch.schema.js';
import { described, resolveRoot, type Operation } from './operation.js';

/** Fetches a manifest, byte for byte, or only its descriptor. */
export const run: Operation<typeof manifestFetch> = async (opened, input, _files, { signal }) => {
  const { repository } = opened;
  const root = await resolveRoot(opened, input, signal);
  const head = described(repository.name, root);
  if (input.descriptor === true) return { output: head, digest: root.digest };
  const { mediaTypes } = input;
  const { bytes } = await repository.fetchManifest(root, { signal, ...(mediaTypes && { mediaTypes }) });
  return { output: { ...head, ...contentOf(bytes) }, digest: root.digest };
};
