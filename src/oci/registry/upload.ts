import type { Descriptor } from '../descriptor.js';
import { type PromoterError, RegistryError, TransportError } from '../errors.js';
import type { CallOptions, OpenBody } from '../repository.js';
import { hasBlob } from './blobs.js';
import { drain } from './body.js';
import { skipping } from './blob-reading.js';
import { checkStored, pushPieces, SessionLost, uploadFailure } from './upload-chunks.js';
import { apiRequest, ask, follow, kindOf, scopesFor, type NextRequest, type RepositoryContext } from './endpoint.js';
import { pauseMs, sleepMs } from './retry.js';
import type { TransportRequest } from './transport.js';

/** Maximum times that an upload is started. After that, the last error is thrown. */
export const UPLOAD_TRIES = 4;
/** Minimum chunk size, even if the registry answers 413. */
const SMALLEST_CHUNK_BYTES = 1024 * 1024;
/** Maximum chunk size, even if `OCI-Chunk-Min-Length` is larger. */
const LARGEST_CHUNK_BYTES = 256 * 1024 * 1024;

export type UploadOptions = CallOptions & {
  /** Called with the number of bytes sent. It starts from 0 again if the upload starts over. */
  reached?: (position: number) => void;
};

/** The session's URL with the digest. Its query is opaque (ACR's `_state`) and is not parsed. */
function withDigest(url: string, descriptor: Descriptor): string {
  return `${url}${url.includes('?') ? '&' : '?'}digest=${encodeURIComponent(descriptor.digest)}`;
}

/** Closes an upload session with PUT: with the whole blob as its body, or without a body after chunks. */
export async function commit(
  context: RepositoryContext,
  session: NextRequest,
  descriptor: Descriptor,
  body: TransportRequest['body'],
  options: CallOptions,
): Promise<void> {
  const what = `${context.name}@${descriptor.digest}`;
  const request: TransportRequest = {
    ...session,
    method: 'PUT',
    url: withDigest(session.url, descriptor),
    // Also without a body, because the registry reads the whole blob before it answers.
    kind: kindOf(descriptor.size),
    repeatable: false,
    headers: { 'content-type': 'application/octet-stream' },
    body: body ?? new Uint8Array(),
    signal: options.signal,
  };
  const response = await context.endpoint.transport.send(request);
  if (response.status !== 201 && response.status !== 204 && response.status !== 200)
    throw await uploadFailure(response, request, what);
  await drain(response);
  checkStored(response, descriptor, what);
}

export async function startSession(
  context: RepositoryContext,
  options: CallOptions,
): Promise<{ session: NextRequest; chunkBytes: number }> {
  const response = await ask(
    context.endpoint,
    {
      ...apiRequest(context, 'POST', 'blobs/uploads/', ['pull', 'push'], options),
      repeatable: true,
      headers: {},
      body: new Uint8Array(),
    },
    { statuses: [202], what: context.name, absent: 'NAME_UNKNOWN' },
  );
  await drain(response);
  const least = Number(response.headers['oci-chunk-min-length'] ?? 0);
  const leastBytes = Number.isSafeInteger(least) && least > 0 ? least : 0;
  return {
    session: follow(context, response.headers.location, response.url, scopesFor(context, ['pull', 'push'])),
    chunkBytes: Math.max(context.endpoint.uploads.chunkBytes, Math.min(leastBytes, LARGEST_CHUNK_BYTES)),
  };
}

async function uploadOnce(
  context: RepositoryContext,
  descriptor: Descriptor,
  open: OpenBody,
  options: UploadOptions,
): Promise<void> {
  const { uploads } = context.endpoint;
  const { session, chunkBytes } = await startSession(context, options);
  if (descriptor.size === 0) return commit(context, session, descriptor, undefined, options);
  if (descriptor.size > uploads.monolithicBytes) {
    let end = { session, receivedBytes: 0 };
    const pieces = pushPieces(context, end, descriptor, skipping(open), chunkBytes, options);
    for await (const reached of pieces) end = reached;
    return commit(context, end.session, descriptor, undefined, options);
  }
  const counted = async function* (): AsyncGenerator<Uint8Array> {
    let position = 0;
    for await (const chunk of await open()) {
      position += chunk.length;
      options.reached?.(position);
      yield chunk;
    }
  };
  return commit(context, session, descriptor, { sizeBytes: descriptor.size, open: counted }, options);
}

/**
 * Reduces the upload sizes after a 413.
 * @returns false if smaller chunks are not worth a try
 */
export function takeSmaller(context: RepositoryContext, descriptor: Descriptor): boolean {
  const { uploads } = context.endpoint;
  if (descriptor.size <= uploads.monolithicBytes) {
    uploads.monolithicBytes = Math.min(uploads.monolithicBytes, descriptor.size - 1);
    uploads.chunkBytes = Math.min(uploads.chunkBytes, Math.max(SMALLEST_CHUNK_BYTES, Math.ceil(descriptor.size / 2)));
    return true;
  }
  if (uploads.chunkBytes <= SMALLEST_CHUNK_BYTES) return false;
  uploads.chunkBytes = Math.max(SMALLEST_CHUNK_BYTES, Math.floor(uploads.chunkBytes / 2));
  return true;
}

/**
 * Uploads a blob unless it exists: in one PUT, or in chunks if it is large or the registry refused it as too large.
 * Starts over, a limited number of times, if the session or the connection is lost.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-blobs
 */
export async function pushBlob(
  context: RepositoryContext,
  descriptor: Descriptor,
  open: OpenBody,
  options: CallOptions & { onBytes?: (count: number) => void } = {},
): Promise<void> {
  // Bytes that are sent again are not counted again.
  let countedBytes = 0;
  const reached = (position: number): void => {
    if (position <= countedBytes) return;
    options.onBytes?.(position - countedBytes);
    countedBytes = position;
  };
  for (let attempt = 1; ; attempt += 1) {
    // Uses the scopes of the upload that follows, so that one token serves both.
    if (await hasBlob(context, descriptor, options, ['pull', 'push'])) return;
    let failure: PromoterError;
    try {
      return await uploadOnce(context, descriptor, open, { ...options, reached });
    } catch (error) {
      options.signal?.throwIfAborted();
      if (error instanceof SessionLost) failure = error.reason;
      else if (error instanceof TransportError && error.transient) failure = error;
      else if (error instanceof RegistryError && error.info.status === 413 && takeSmaller(context, descriptor))
        failure = error;
      else throw error;
    }
    if (attempt >= UPLOAD_TRIES) throw failure;
    await sleepMs(pauseMs(attempt, context.endpoint.retryBaseMs), options.signal);
  }
}
