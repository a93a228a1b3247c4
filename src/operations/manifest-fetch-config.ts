import { fetchConfig, resolveConfig } from '../oras/index.js';
import { contentOf } from './content.js';
import type { manifestFetchConfig } from './manifest-fetch-config.schema.js';
import { described, platformOf, tagOrDigestOf, type Operation } from './operation.js';

/** Fetches the config of a manifest, byte for byte, or only its descriptor. */
export const run: Operation<typeof manifestFetchConfig> = async (opened, input, _files, { signal }) => {
  const { repository } = opened;
  const config = await resolveConfig(repository, tagOrDigestOf(opened), { signal, ...platformOf(input) });
  const head = described(repository.name, config);
  if (input.descriptor === true) return { output: head, digest: config.digest };
  const bytes = await fetchConfig(repository, config, { signal });
  return { output: { ...head, ...contentOf(bytes) }, digest: config.digest };
};
