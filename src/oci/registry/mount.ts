import type { Descriptor } from '../descriptor.js';
import { quoted } from '../credentials-in-text.js';
import { InputError, PromoterError, RegistryError } from '../errors.js';
import { isRepository } from '../reference.js';
import type { CallOptions } from '../repository.js';
import { drain } from './body.js';
import { apiRequest, follow, scopesFor, type RepositoryContext } from './endpoint.js';
import { registryErrorFrom } from './error-from-answer.js';
import { repositoryScope } from './scopes.js';
import { checkStored } from './upload-chunks.js';
import type { TransportRequest, TransportResponse } from './transport.js';

/** Statuses with which a registry declines a mount: refused, unknown or unsupported. */
const NOT_MOUNTED = new Set([400, 401, 403, 404, 405]);

/**
 * Mounts a blob from another repository of the registry.
 * @returns false if the registry refuses, or opens an upload instead, which is then cancelled
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#mounting-a-blob-from-another-repository
 */
export async function mountBlob(
  context: RepositoryContext,
  descriptor: Descriptor,
  fromRepository: string,
  options: CallOptions = {},
): Promise<boolean> {
  const { endpoint } = context;
  if (!isRepository(fromRepository)) {
    throw new InputError('REFERENCE_INVALID', `${quoted(fromRepository)} is not a repository name`);
  }
  const scopes = [...scopesFor(context, ['pull', 'push']), repositoryScope(fromRepository, 'pull')];
  const query = `mount=${encodeURIComponent(descriptor.digest)}&from=${encodeURIComponent(fromRepository)}`;
  const request: TransportRequest = {
    ...apiRequest(context, 'POST', `blobs/uploads/?${query}`, [], options),
    repeatable: true,
    body: new Uint8Array(),
    scopes,
  };
  let response: TransportResponse;
  try {
    response = await endpoint.transport.send(request);
  } catch (error) {
    // The registry refused a token for both repositories.
    if (error instanceof RegistryError && NOT_MOUNTED.has(error.info.status)) return false;
    throw error;
  }
  if (response.status === 201) {
    await drain(response);
    checkStored(response, descriptor, `${context.name}@${descriptor.digest}`);
    return true;
  }
  if (response.status !== 202 && !NOT_MOUNTED.has(response.status)) {
    throw await registryErrorFrom(response, request, `${context.name}@${descriptor.digest}`);
  }
  await drain(response);
  if (response.status === 202) {
    try {
      const session = follow(context, response.headers.location, response.url, scopesFor(context, ['pull', 'push']));
      await drain(
        await endpoint.transport.send({
          ...session,
          method: 'DELETE',
          kind: 'api',
          repeatable: false,
          signal: options.signal,
        }),
      );
    } catch (error) {
      // An upload that is not cancelled expires by itself.
      options.signal?.throwIfAborted();
      if (!(error instanceof PromoterError)) throw error;
    }
  }
  return false;
}
