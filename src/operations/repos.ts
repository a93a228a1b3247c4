import { listRepositories } from '../oras/index.js';
import type { Operation, OperationResult } from './operation.js';
import type { repos } from './repos.schema.js';

/** A registry, and the repositories that the caller may see. Default: all. */
export interface OpenedRegistry {
  registry: Parameters<typeof listRepositories>[0];
  isVisible?: (repository: string) => boolean;
}

type Listed = OperationResult<{ registry: string; repositories: string[] }>;

/** Lists the repositories of a registry. Reports each as an event at once. */
export const run: Operation<typeof repos, undefined, string, Listed, OpenedRegistry> = async (
  { registry, isVisible = () => true },
  { registry: host, ...options },
  _files,
  { signal, text, event },
) => {
  const repositories: string[] = [];
  for await (const name of listRepositories(registry, { ...options, signal })) {
    if (!isVisible(name)) continue;
    repositories.push(name);
    event?.(name);
  }
  text?.(`${repositories.length} repositories`);
  return { output: { registry: host, repositories } };
};
