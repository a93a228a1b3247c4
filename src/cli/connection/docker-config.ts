import { homedir } from 'node:os';
import { join } from 'node:path';
import { dockerConfigCredentials, type Credentials, type DockerConfigOptions } from '../../oci/index.js';
import type { Io } from '../io.js';
import { listOf } from '../repeated.js';

/** The Docker config to write: the first `--registry-config`, else in `DOCKER_CONFIG`, else in the home folder. */
export function dockerConfigOptions(
  options: { registryConfig?: unknown },
  { env }: Pick<Io, 'env'>,
): DockerConfigOptions {
  const folder = env.DOCKER_CONFIG ?? join(homedir(), '.docker');
  const [path = join(folder, 'config.json')] = listOf(options.registryConfig);
  // Helpers that it names are programs on the PATH.
  return { path, environment: { ...env } };
}

/** The credential for a registry in the Docker config; of several files, the first with an entry. */
export function keptCredentials(options: { registryConfig?: unknown }, io: Pick<Io, 'env'>): Credentials {
  const first = dockerConfigOptions(options, io);
  const [, ...others] = listOf(options.registryConfig);
  const all = [first, ...others.map((path) => ({ ...first, path }))].map(dockerConfigCredentials);
  return {
    get: async (registry, signal) => {
      for (const each of all) {
        const found = await each.get(registry, signal);
        if (found.kind !== 'anonymous') return found;
      }
      return { kind: 'anonymous' };
    },
  };
}
