import { listRepositories } from '../oras/index.js';
import type { OperationResult, Progress } from './operation.js';
import type { InputOf } from './operation-schema.js';
import type { repos } from './repos.schema.js';

/** A registry, and the repositories that the caller may see. Default: all. */
export interface OpenedRegistry {
  registry: Parameters<typeof listRepositories>[0];
  isVisible?: (repository: string) => boolean;
}

/** Lists the repositories of a registry. Reports each as an event at once. */
export async function run(
  { registry, isVisible = () => true }: OpenedRegistry,
  { registry: host, ...options }: InputOf<typeof repos>,
  _files: undefined,
  { signal, text, event }: Progress<string>,
): Promise<OperationResult<{ registry: string; repositories: string[] }>> {
  const repositories: string[] = [];
  for await (const name of listRepositories(registry, { ...options, signal })) {
    if (!isVisible(name)) continue;
    repositories.push(name);
    event?.(name);
  }
  text?.(`${repositories.length} repositories`);
  return { output: { registry: host, repositories } };
}
