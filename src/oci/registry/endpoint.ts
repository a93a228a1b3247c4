import { PolicyError, RegistryError, TransportError } from '../errors.js';
import { drain, readBounded } from './body.js';
import { registryErrorFrom } from './error-from-answer.js';
import { pauseMs, sleepMs } from './retry.js';
import { repositoryScope } from './scopes.js';
import type { RequestKind, Transport, TransportRequest, TransportResponse } from './transport.js';
import { resolveLocation } from './urls.js';

/** Blobs up to this size share the connections of small requests: as much as goes in one flight (docs/decisions/http-version.md). */
const SMALL_BLOB_BYTES = 64 * 1024;

/** How uploads are cut; MONOLITHIC_BYTES and CHUNK_BYTES in registries.ts by default. Changed where a registry answers 413, for all that comes after. */
export interface UploadSizes {
  monolithicBytes: number;
  chunkBytes: number;
}

/** One registry as the parts of the client see it. */
export interface Endpoint {
  /** As it was written: `myregistry.azurecr.io`. */
  registry: string;
  /** `https://host` */
  origin: string;
  transport: Transport;
  /** The first pause, in milliseconds, before what broke is done again. */
  retryBaseMs: number;
  uploads: UploadSizes;
  /** What was learnt of the registry on the way. `hasAcrLists`: false once it has shown that it lacks `_tags` and `_manifests`. */
  learnt: { hasAcrLists?: boolean };
  /** Whether requests may go to this host, though they never take a credential to another than the registry's. */
  mayAsk(host: string): boolean;
}

/** One repository as the parts of the client see it. */
export interface RepositoryContext {
  endpoint: Endpoint;
  repository: string;
  /** `registry/repository`, for messages. */
  name: string;
}

/** How a blob goes, either way: a small one with the other small requests, which needs no connection of its own. */
export function kindOf(sizeBytes: number): RequestKind {
  return sizeBytes <= SMALL_BLOB_BYTES ? 'api' : 'bytes';
}

export type Actions = readonly ('pull' | 'push' | 'delete' | 'metadata_read')[];

export function scopesFor(context: RepositoryContext, actions: Actions): string[] {
  return [repositoryScope(context.repository, ...actions)];
}

/** `https://host/v2/<repository>/<path>` */
export function apiUrl(context: RepositoryContext, path: string): string {
  return `${context.endpoint.origin}/v2/${context.repository}/${path}`;
}

interface Expected {
  /** Statuses that are an answer; all others are thrown. */
  statuses: readonly number[];
  /** The reference it is about, for messages. */
  what: string;
  /** The code of a 404 that names none. */
  absent?: string;
}

/** Sends, and throws what is not expected as a RegistryError. The body of what is returned is still to be read. */
export async function ask(
  endpoint: Endpoint,
  request: TransportRequest,
  expected: Expected,
): Promise<TransportResponse> {
  const response = await endpoint.transport.send(request);
  if (expected.statuses.includes(response.status)) return response;
  throw await registryErrorFrom(response, request, expected.what, {
    ...(expected.absent !== undefined && { absent: expected.absent }),
  });
}

/** As {@link ask}, for answers of which only the headers count. */
export async function askHeaders(
  endpoint: Endpoint,
  request: TransportRequest,
  expected: Expected,
): Promise<TransportResponse> {
  const response = await ask(endpoint, request, expected);
  await drain(response);
  return response;
}

export interface WholeAnswer extends Omit<TransportResponse, 'body'> {
  bytes: Uint8Array;
}

/** Times a small answer is asked for again because its body broke. */
const READ_TRIES = 3;

/** Sends and reads the whole body, bounded; asks again where it broke on the way. For GET only. */
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

export interface NextRequest {
  url: string;
  /** Present only where it is the registry's own. */
  scopes?: string[];
}

/**
 * Where a `Location` or `Link` of a registry leads next. On the registry's own origin the request takes its credential along;
 * elsewhere it goes without, and not at all where only certain hosts are allowed (GHSA-jxpm-75mh-9fp7).
 * @throws PolicyError `REGISTRY_NOT_ALLOWED`
 */
export function follow(
  context: { endpoint: Endpoint; name: string },
  location: string | undefined,
  base: string,
  scopes: string[],
): NextRequest {
  const { endpoint, name } = context;
  if (location === undefined || !URL.canParse(location, base)) {
    throw new RegistryError(
      `${name}: the registry's answer does not say where to go on`,
      { method: 'POST', url: endpoint.origin, status: 202, registryCodes: [] },
      { code: 'LOCATION_INVALID' },
    );
  }
  const url = resolveLocation(location, base);
  if (url.origin === endpoint.origin) return { url: url.href, scopes };
  const downgraded = url.protocol !== 'https:' && !endpoint.origin.startsWith('http:');
  if (downgraded || !endpoint.mayAsk(url.host)) {
    throw new PolicyError(
      'REGISTRY_NOT_ALLOWED',
      `${name}: the registry sends on to ${url.protocol}//${url.host}, which is not allowed`,
      {
        details: { registry: endpoint.registry, host: url.host },
      },
    );
  }
  return { url: url.href };
}
