import { InputError, isRepository, type CallOptions, type Registry, quoted } from '../oci/index.js';

export interface RepositoriesOptions extends CallOptions {
  /** Only repositories below this path: `ns` does not match `nsx/app`. */
  namespace?: string;
  /** Only repositories after this one (full name) in the registry's order. */
  last?: string;
}

/**
 * Lists the full names of a registry's repositories, in its order.
 * @throws InputError `REFERENCE_INVALID` for an invalid namespace; what the registry throws
 */
export async function* listRepositories(
  registry: Pick<Registry, 'listRepositories'>,
  options: RepositoriesOptions = {},
): AsyncGenerator<string> {
  const { last, namespace = '', signal } = options;
  if (namespace !== '' && !isRepository(namespace)) {
    throw new InputError('REFERENCE_INVALID', `${quoted(namespace)} is not a namespace`, {
      remedy: 'Write it as registry[/namespace], in lower case, without tag or digest.',
    });
  }
  const names = registry.listRepositories({ signal, ...(last !== undefined && { last }) });
  for await (const name of names) if (namespace === '' || name.startsWith(`${namespace}/`)) yield name;
}
