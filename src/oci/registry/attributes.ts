import { isRecord, parseObject } from '../descriptor.js';
import { RegistryError } from '../errors.js';
import type { CallOptions } from '../repository.js';
import { askWhole, scopesFor, type RepositoryContext } from './endpoint.js';
import { ANSWER_BYTES, NOT_SERVED } from './pages.js';

/**
 * Whether ACR's locks on the tag and its repository allow writing the tag. False if one of both is locked. Undefined if
 * the registry does not say. A tag that does not exist has no lock.
 * @see https://learn.microsoft.com/azure/container-registry/container-registry-image-lock
 */
export async function isWritable(
  context: RepositoryContext,
  tag: string,
  options: CallOptions = {},
): Promise<boolean | undefined> {
  const ofTag = await writeEnabled(context, `${context.repository}/_tags/${tag}`, options);
  if (ofTag === false) return false;
  return (await writeEnabled(context, context.repository, options)) ?? ofTag;
}

async function writeEnabled(
  context: RepositoryContext,
  path: string,
  { signal }: CallOptions,
): Promise<boolean | undefined> {
  const { endpoint, name } = context;
  try {
    const answer = await askWhole(
      endpoint,
      {
        method: 'GET',
        url: `${endpoint.origin}/acr/v1/${path}`,
        kind: 'api',
        headers: { accept: 'application/json' },
        scopes: scopesFor(context, ['metadata_read']),
        signal,
      },
      { statuses: [200], what: name, mostBytes: ANSWER_BYTES },
    );
    return parse(answer.bytes);
  } catch (error) {
    // The registry does not serve attributes, or refused a token for this scope.
    if (error instanceof RegistryError && NOT_SERVED.includes(error.info.status)) return undefined;
    throw error;
  }
}

/** A repository's attributes are at the top level of the answer, a tag's are below `tag`. */
function parse(bytes: Uint8Array): boolean | undefined {
  const answer = parseObject(bytes) ?? {};
  const { changeableAttributes } = isRecord(answer.tag) ? answer.tag : answer;
  const enabled = isRecord(changeableAttributes) ? changeableAttributes.writeEnabled : undefined;
  return typeof enabled === 'boolean' ? enabled : undefined;
}
