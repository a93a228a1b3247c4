import { sizeMismatch } from '../content.js';
import type { Descriptor } from '../descriptor.js';
import { digestAlgorithm, isDigest } from '../digest.js';
import { IntegrityError, type PromoterError, RegistryError, TransportError } from '../errors.js';
import type { CallOptions } from '../repository.js';
import { BlobReading, type OpenAt } from './blob-reading.js';
import { drain } from './body.js';
import { follow, type NextRequest, type RepositoryContext, scopesFor } from './endpoint.js';
import { registryErrorFrom } from './error-from-answer.js';
import { pauseMs, sleepMs } from './retry.js';
import type { TransportRequest, TransportResponse } from './transport.js';
import type { UploadOptions } from './upload.js';

/** Maximum times that one chunk is sent within its session. */
const CHUNK_TRIES = 4;

/** The state of a chunked upload. */
export interface Reached {
  session: NextRequest;
  receivedBytes: number;
}

/**
 * Asks how many bytes a session has received, and its current URL. Undefined if the session is gone.
 * @throws RegistryError if the registry cannot say so now
 */
export async function askStatus(
  context: RepositoryContext,
  session: NextRequest,
  options: CallOptions,
): Promise<Reached | undefined> {
  const request: TransportRequest = {
    ...session,
    method: 'GET',
    kind: 'api',
    signal: options.signal,
  };
  const response = await context.endpoint.transport.send(request);
  if (response.status >= 500 || response.status === 429)
    throw await registryErrorFrom(response, request, `an upload to ${context.name}`);
  await drain(response);
  if (response.status !== 204 && response.status !== 202 && response.status !== 200) return undefined;
  const last = /^(?:bytes=)?0-(\d+)$/.exec(response.headers.range ?? '')?.[1];
  // By the specification `0-0` means one byte, but many registries send it for none. Only a last chunk is one byte
  // long.
  const receivedBytes = last === undefined || last === '0' ? 0 : Number(last) + 1;
  return { session: next(context, session, response), receivedBytes };
}

/** The newest Location is used; without one, the previous. */
function next(context: RepositoryContext, session: NextRequest, response: TransportResponse): NextRequest {
  const { location } = response.headers;
  return location === undefined
    ? session
    : follow(context, location, response.url, scopesFor(context, ['pull', 'push']));
}

/**
 * Uploads a blob in chunks from the current position of the session, and yields the state after each chunk. The length
 * of each chunk is announced (ACR refuses chunked transfer encoding). After a failure, the registry is asked what it
 * has received, and the rest of the chunk is sent again. Chunks are streamed and not held in memory.
 * @throws SessionLost if the upload must start over
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-a-blob-in-chunks
 */
export async function* pushPieces(
  context: RepositoryContext,
  first: Reached,
  descriptor: Descriptor,
  openAt: OpenAt,
  chunkBytes: number,
  options: UploadOptions,
): AsyncGenerator<Reached> {
  const reading = new BlobReading(openAt, (actual) =>
    sizeMismatch(`${context.name}@${descriptor.digest}`, descriptor.size, actual),
  );
  try {
    for (let reached = first; reached.receivedBytes < descriptor.size;) {
      const end = Math.min(reached.receivedBytes + chunkBytes, descriptor.size);
      reached = await pushPiece(context, reached, end, descriptor, reading, options);
      options.reached?.(reached.receivedBytes);
      if (reached.receivedBytes === descriptor.size) await reading.expectEnd();
      yield reached;
    }
  } finally {
    await reading.close();
  }
}

/**
 * Uploads one chunk.
 * @returns the new state: at `end`, or before it if the registry kept a part of an interrupted chunk
 */
async function pushPiece(
  context: RepositoryContext,
  { session, receivedBytes: start }: Reached,
  end: number,
  descriptor: Descriptor,
  reading: BlobReading,
  options: UploadOptions,
): Promise<Reached> {
  let current = session;
  for (let attempt = 1; ; attempt += 1) {
    let failure: PromoterError | SessionLost;
    const request: TransportRequest = {
      ...current,
      method: 'PATCH',
      kind: 'bytes',
      headers: { 'content-type': 'application/octet-stream', 'content-range': `${start}-${end - 1}` },
      body: { sizeBytes: end - start, open: () => reading.piece(start, end) },
      signal: options.signal,
    };
    try {
      const response = await context.endpoint.transport.send(request);
      if (response.status === 202 || response.status === 204 || response.status === 201) {
        await drain(response);
        return { session: next(context, current, response), receivedBytes: end };
      }
      const { status } = response;
      failure = await uploadFailure(response, request, `${context.name}@${descriptor.digest}`);
      if (status < 500) throw failure;
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!(error instanceof TransportError) || !error.transient) throw error;
      failure = error;
    }
    if (attempt >= CHUNK_TRIES) throw failure;
    await sleepMs(pauseMs(attempt, context.endpoint.retryBaseMs), options.signal);
    let status: Reached | undefined;
    try {
      status = await askStatus(context, current, options);
    } catch (error) {
      // A registry that cannot answer is treated as having lost the session.
      if (!(error instanceof RegistryError)) throw error;
    }
    if (status === undefined || status.receivedBytes < start || status.receivedBytes > end) {
      throw failure instanceof SessionLost ? failure : new SessionLost(failure);
    }
    if (status.receivedBytes > start) return status;
    current = status.session;
  }
}

/** The registry has lost or closed the upload session. The upload starts over with POST. */
export class SessionLost extends Error {
  readonly reason: PromoterError;

  constructor(reason: PromoterError) {
    super(reason.message);
    this.reason = reason;
  }
}

const LOST_CODES = new Set(['BLOB_UPLOAD_UNKNOWN', 'BLOB_UPLOAD_INVALID']);

/**
 * Converts an unexpected answer within an upload session to an error, or to SessionLost if the upload must start over.
 */
export async function uploadFailure(
  response: TransportResponse,
  request: TransportRequest,
  what: string,
): Promise<PromoterError | SessionLost> {
  const error = await registryErrorFrom(response, request, what);
  const { status, registryCodes } = error.info;
  const lost = status === 404 || status === 416 || status >= 500 || registryCodes.some((code) => LOST_CODES.has(code));
  return lost ? new SessionLost(error) : error;
}

/**
 * Compares the digest that the registry reports as stored with the descriptor.
 * @throws IntegrityError `DIGEST_MISMATCH`
 */
export function checkStored(response: TransportResponse, descriptor: Descriptor, what: string): void {
  const stored = response.headers['docker-content-digest'];
  if (stored === undefined || !isDigest(stored) || digestAlgorithm(stored) !== digestAlgorithm(descriptor.digest))
    return;
  if (stored === descriptor.digest) return;
  throw new IntegrityError('DIGEST_MISMATCH', `${what}: the registry has stored ${stored}`, {
    details: { expected: descriptor.digest, actual: stored },
  });
}
