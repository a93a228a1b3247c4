import { answerError, PolicyError, TransportError } from '../errors.js';
import type { CallOptions } from '../repository.js';
import { drain, readBounded } from './body.js';
import { registryErrorFrom } from './error-from-answer.js';
import { pauseMs, sleepMs } from './retry.js';
import { repositoryScope } from './scopes.js';
import type { RequestKind, Transport, TransportRequest, TransportResponse } from './transport.js';
import { resolveLocation } from './urls.js';

/**
 * Maximum size of a blob that uses the connections of small requests; it fits into one round trip
 * (docs/decisions/oci-transport.md).
 */
const SMALL_BLOB_BYTES = 64 * 1024;

/**
 * Sizes of uploads. Defaults: MONOLITHIC_BYTES and CHUNK_BYTES in registries.ts. Reduced for all later uploads if the
 * registry answers 413.
 */
export interface UploadSizes {
  monolithicBytes: number;
  chunkBytes: number;
}

/** A registry and how to send requests to it. All modules of the registry client take it. */
export interface Endpoint {
  /** The registry as the user wrote it: `myregistry.azurecr.io`. */
  registry: string;
  /** `https://host` */
  origin: string;
  transport: Transport;
  /** First pause before a retry, in milliseconds. */
  retryBaseMs: number;
  uploads: UploadSizes;
  /**
   * Facts learned about the registry. `hasAcrLists` is false once it has shown that it lacks `_tags` and `_manifests`.
   */
  learnt: { hasAcrLists?: boolean };
  /** Whether requests may go to this host. A credential is sent only to the registry's own host in any case. */
  mayAsk(host: string): boolean;
}

/** A repository and its endpoint. All modules of the registry client take it. */
export interface RepositoryContext {
  endpoint: Endpoint;
  repository: string;
  /** `registry/repository`, for messages. */
  name: string;
}

/** The kind of request for a blob of this size. A small blob shares the connections of small requests. */
export function kindOf(sizeBytes: number): RequestKind {
  return sizeBytes <= SMALL_BLOB_BYTES ? 'api' : 'bytes';
}

/** Actions of a token scope for a repository. */
export type Actions = readonly ('pull' | 'push' | 'delete' | 'metadata_read')[];

/** The scopes for actions in a repository. */
export function scopesFor(context: RepositoryContext, actions: Actions): string[] {
  return [repositoryScope(context.repository, ...actions)];
}

/** `https://host/v2/<repository>/<path>` */
export function apiUrl(context: RepositoryContext, path: string): string {
  return `${context.endpoint.origin}/v2/${context.repository}/${path}`;
}

/** A small request to the API of a repository. @param path below `/v2/<repository>/` */
export function apiRequest(
  context: RepositoryContext,
  method: TransportRequest['method'],
  path: string,
  actions: Actions,
  { signal }: CallOptions,
): TransportRequest {
  return { method, url: apiUrl(context, path), kind: 'api', scopes: scopesFor(context, actions), signal };
}

interface Expected {
  /** Expected statuses. Any other status is thrown as an error. */
  statuses: readonly number[];
  /** The reference that the request is about, for messages. */
  what: string;
  /** The error code of a 404 without a code in its body. */
  absent?: string | undefined;
}

/** Sends a request and throws an unexpected status as a RegistryError. The caller must read or close the body. */
export async function ask(
  endpoint: Endpoint,
  request: TransportRequest,
  expected: Expected,
): Promise<TransportResponse> {
  const response = await endpoint.transport.send(request);
  if (expected.statuses.includes(response.status)) return response;
  throw await registryErrorFrom(response, request, expected.what, expected);
}

/** Like {@link ask}, if only the headers of the answer matter. The body is read and discarded. */
export async function askHeaders(
  endpoint: Endpoint,
  request: TransportRequest,
  expected: Expected,
): Promise<TransportResponse> {
  const response = await ask(endpoint, request, expected);
  await drain(response);
  return response;
}

/** An answer whose body was read completely. */
export interface WholeAnswer extends Omit<TransportResponse, 'body'> {
  bytes: Uint8Array;
}

/** Maximum tries of a small request whose answer breaks off. */
const READ_TRIES = 3;

/**
 * Sends a request and reads the whole body, up to a limit. Repeats the request if the body breaks off. For GET only.
 */
export async function askWhole(
  endpoint: Endpoint,
  request: TransportRequest,
  expected: Expected & { mostBytes: number },
): Promise<WholeAnswer> {
  for (let attempt = 1; ; attempt += 1) {
    const response = await ask(endpoint, request, expected);
    try {
      const { body: _, ...rest } = response;
      return { ...rest, bytes: await readBounded(response, expected.mostBytes) };
    } catch (error) {
      request.signal?.throwIfAborted();
      if (!(error instanceof TransportError) || !error.transient || attempt >= READ_TRIES) throw error;
    }
    await sleepMs(pauseMs(attempt, endpoint.retryBaseMs), request.signal);
  }
}

/** The next request of an upload or listing. */
export interface NextRequest {
  url: string;
  /** Present only if the URL belongs to the registry itself. */
  scopes?: string[];
}

/**
 * Resolves the `Location` or `Link` header of a registry. On the registry's own origin, the next request takes the
 * credential along; on another origin it does not, and if only certain hosts are allowed, it is refused
 * (GHSA-jxpm-75mh-9fp7).
 * @throws PolicyError `REGISTRY_NOT_ALLOWED`
 * @throws RegistryError `LOCATION_INVALID`
 */
export function follow(
  context: { endpoint: Endpoint; name: string },
  location: string | undefined,
  base: string,
  scopes: string[],
): NextRequest {
  const { endpoint, name } = context;
  if (location === undefined || !URL.canParse(location, base)) {
    const answer = { method: 'POST', url: endpoint.origin, status: 202 };
    throw answerError('LOCATION_INVALID', `${name}: the registry's answer has no valid Location`, answer);
  }
  const url = resolveLocation(location, base);
  if (url.origin === endpoint.origin) return { url: url.href, scopes };
  const downgraded = url.protocol !== 'https:' && !endpoint.origin.startsWith('http:');
  if (downgraded || !endpoint.mayAsk(url.host)) {
    throw new PolicyError(
      'REGISTRY_NOT_ALLOWED',
      `${name}: the registry redirects to ${url.protocol}//${url.host}, which is not allowed`,
      {
        details: { registry: endpoint.registry, host: url.host },
      },
    );
  }
  return { url: url.href };
}
