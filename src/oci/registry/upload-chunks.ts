import type { Descriptor } from '../descriptor.js';
import { IntegrityError, RegistryError, TransportError, type PromoterError } from '../errors.js';
import type { CallOptions, OpenBody } from '../store.js';
import { drain } from './body.js';
import { follow, scopesFor, type NextRequest, type RepositoryContext } from './endpoint.js';
import { registryErrorFrom } from './error-from-answer.js';
import { pauseMs, sleepMs } from './retry.js';
import type { TransportRequest, TransportResponse } from './transport.js';
import { SessionLost, uploadFailure } from './upload-failure.js';
import type { UploadOptions } from './upload.js';

/** Times one piece is sent again within its session. */
const CHUNK_TRIES = 4;

/** Where an upload in pieces stands. */
export interface Reached {
  session: NextRequest;
  receivedBytes: number;
}

interface Piece {
  start: number;
  sizeBytes: number;
  parts: readonly Uint8Array[];
}

/** Cuts a stream, which begins at `from`, into pieces of one size, the last one smaller, without copying. */
async function* cut(body: AsyncIterable<Uint8Array>, pieceBytes: number, from: number): AsyncGenerator<Piece> {
  let parts: Uint8Array[] = [];
  let length = 0;
  let start = from;
  for await (const chunk of body) {
    let rest = chunk;
    while (length + rest.length >= pieceBytes) {
      const head = rest.subarray(0, pieceBytes - length);
      yield { start, sizeBytes: pieceBytes, parts: [...parts, head] };
      start += pieceBytes;
      rest = rest.subarray(head.length);
      parts = [];
      length = 0;
    }
    if (rest.length > 0) {
      parts.push(rest);
      length += rest.length;
    }
  }
  if (length > 0) yield { start, sizeBytes: length, parts };
}

async function* each(parts: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts;
}

/**
 * How many bytes the session holds, and where it goes on; undefined where it is gone.
 * @throws RegistryError where the registry can't say it now
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
    ...(options.signal !== undefined && { signal: options.signal }),
  };
  const response = await context.endpoint.transport.send(request);
  if (response.status >= 500 || response.status === 429)
    throw await registryErrorFrom(response, request, `an upload to ${context.name}`);
  await drain(response);
  if (response.status !== 204 && response.status !== 202 && response.status !== 200) return undefined;
  const last = /^(?:bytes=)?0-(\d+)$/.exec(response.headers.range ?? '')?.[1];
  // `0-0` stands for one byte by the specification, and for none in many registries; no piece is one byte long but the last.
  const receivedBytes = last === undefined || last === '0' ? 0 : Number(last) + 1;
  return { session: next(context, session, response), receivedBytes };
}

/** The newest Location counts; where one is left out, the last. */
function next(context: RepositoryContext, session: NextRequest, response: TransportResponse): NextRequest {
  const { location } = response.headers;
  return location === undefined
    ? session
    : follow(context, location, response.url, scopesFor(context, ['pull', 'push']));
}

/**
 * Sends pieces of a blob, whose length is known beforehand (ACR refuses chunked transfer encoding), from where the session stands;
 * tells after each piece where that is now. A piece whose fate is unknown is asked for, and sent again if it did not arrive.
 * @param body the blob's bytes from `receivedBytes` on
 * @throws SessionLost where the upload must start over
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-a-blob-in-chunks
 */
export async function* pushPieces(
  context: RepositoryContext,
  { session: first, receivedBytes }: Reached,
  descriptor: Descriptor,
  body: AsyncIterable<Uint8Array>,
  chunkBytes: number,
  options: UploadOptions,
): AsyncGenerator<Reached> {
  let session = first;
  for await (const piece of cut(body, chunkBytes, receivedBytes)) {
    if (piece.start + piece.sizeBytes > descriptor.size) throw wrongSize(context, descriptor);
    session = await pushPiece(context, session, piece, descriptor, options);
    const sentBytes = piece.start + piece.sizeBytes;
    options.reached?.(sentBytes);
    yield { session, receivedBytes: sentBytes };
  }
}

/** The source gave more or less than the descriptor says. */
export function wrongSize(context: RepositoryContext, descriptor: Descriptor): IntegrityError {
  return new IntegrityError(
    'SIZE_MISMATCH',
    `${context.name}@${descriptor.digest}: what is to be uploaded is not ${descriptor.size} bytes`,
    {
      details: { expected: descriptor.size },
    },
  );
}

/** Sends all of a blob in pieces, and returns where the session goes on. @throws as {@link pushPieces} */
export async function pushChunks(
  context: RepositoryContext,
  session: NextRequest,
  descriptor: Descriptor,
  open: OpenBody,
  chunkBytes: number,
  options: UploadOptions,
): Promise<NextRequest> {
  let end: Reached = { session, receivedBytes: 0 };
  for await (const reached of pushPieces(context, end, descriptor, await open(), chunkBytes, options)) end = reached;
  if (end.receivedBytes === descriptor.size) return end.session;
  throw wrongSize(context, descriptor);
}

async function pushPiece(
  context: RepositoryContext,
  session: NextRequest,
  piece: Piece,
  descriptor: Descriptor,
  options: UploadOptions,
): Promise<NextRequest> {
  const end = piece.start + piece.sizeBytes;
  let current = session;
  for (let attempt = 1; ; attempt += 1) {
    let failure: PromoterError | SessionLost;
    const request: TransportRequest = {
      ...current,
      method: 'PATCH',
      kind: 'bytes',
      headers: { 'content-type': 'application/octet-stream', 'content-range': `${piece.start}-${end - 1}` },
      body: { sizeBytes: piece.sizeBytes, open: () => each(piece.parts) },
      ...(options.signal !== undefined && { signal: options.signal }),
    };
    try {
      const response = await context.endpoint.transport.send(request);
      if (response.status === 202 || response.status === 204 || response.status === 201) {
        await drain(response);
        return next(context, current, response);
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
      // Who can't be asked is taken to have lost it.
      if (!(error instanceof RegistryError)) throw error;
    }
    if (status === undefined || (status.receivedBytes !== piece.start && status.receivedBytes !== end)) {
      throw failure instanceof SessionLost ? failure : new SessionLost(failure);
    }
    current = status.session;
    if (status.receivedBytes === end) return current;
  }
}
