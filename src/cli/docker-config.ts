import { homedir } from 'node:os';
import { join } from 'node:path';
import type { DockerConfigOptions } from '../oci/index.js';
import type { Io } from './io.js';

/** Where the Docker config is that a command reads and writes: `--registry-config`, `DOCKER_CONFIG`'s folder, or the home's. */
export function dockerConfigOptions(
  options: { registryConfig?: unknown },
  { env }: Pick<Io, 'env'>,
): DockerConfigOptions {
  const { registryConfig } = options;
  const folder = env.DOCKER_CONFIG ?? join(homedir(), '.docker');
  const path = typeof registryConfig === 'string' ? registryConfig : join(folder, 'config.json');
  // Helpers that it names are programs on the PATH.
  return { path, environment: { ...env } };
}
