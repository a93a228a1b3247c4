import { type BlobOptions, type CallOptions, OCTET_STREAM } from '../repository.js';
import type { Descriptor } from '../descriptor.js';
import { createDigester, digestAlgorithm, type Digest } from '../digest.js';
import { digestMismatch, sizeMismatch } from '../content.js';
import { answerError, TransportError } from '../errors.js';
import { leave } from './body.js';
import { apiRequest, ask, askHeaders, kindOf, type Actions, type RepositoryContext } from './endpoint.js';
import { pauseMs, sleepMs } from './retry.js';
import type { TransportRequest, TransportResponse } from './transport.js';

/** Maximum times a download is resumed. After that, the last error is thrown. */
const MOST_BREAKS = 20;
/** Maximum times without a single new byte. */
const MOST_BREAKS_AT_ONE_PLACE = 4;
/** An answer with at least this many bytes that ends early does not count as a failure. */
const PIECE_BYTES = 1024 * 1024;

function requestFor(
  context: RepositoryContext,
  method: TransportRequest['method'],
  descriptor: Pick<Descriptor, 'digest' | 'size'>,
  actions: Actions,
  options: CallOptions,
): TransportRequest {
  return {
    ...apiRequest(context, method, `blobs/${descriptor.digest}`, actions, options),
    kind: method === 'GET' ? kindOf(descriptor.size) : 'api',
    isBlob: method === 'GET' || method === 'HEAD',
  };
}

/**
 * Checks with HEAD whether a blob exists.
 * @param actions what the token allows; more than `pull` if an upload follows, so that one token serves both
 */
export async function hasBlob(
  context: RepositoryContext,
  descriptor: Descriptor,
  options: CallOptions = {},
  actions: Actions = ['pull'],
): Promise<boolean> {
  const what = `${context.name}@${descriptor.digest}`;
  const response = await askHeaders(context.endpoint, requestFor(context, 'HEAD', descriptor, actions, options), {
    statuses: [200, 404],
    what,
  });
  if (response.status === 404) return false;
  const length = response.headers['content-length'];
  // Some registries answer every HEAD with length 0.
  if (length !== undefined && Number(length) !== 0 && Number(length) !== descriptor.size)
    throw sizeMismatch(what, descriptor.size, length);
  return true;
}

/**
 * Resolves a blob with HEAD.
 * @throws RegistryError `BLOB_UNKNOWN`; `SIZE_UNKNOWN` if the registry does not report the size
 */
export async function resolveBlob(
  context: RepositoryContext,
  digest: Digest,
  options: CallOptions = {},
): Promise<Descriptor> {
  const what = `${context.name}@${digest}`;
  const blob = { mediaType: OCTET_STREAM, digest, size: 0 };
  const request = requestFor(context, 'HEAD', blob, ['pull'], options);
  const { headers } = await askHeaders(context.endpoint, request, { statuses: [200], what, absent: 'BLOB_UNKNOWN' });
  const size = Number(headers['content-length'] ?? Number.NaN);
  if (Number.isSafeInteger(size) && size >= 0) return { ...blob, size };
  throw answerError('SIZE_UNKNOWN', `${what}: the registry does not report the size`, request);
}

export async function deleteBlob(
  context: RepositoryContext,
  descriptor: Descriptor,
  options: CallOptions = {},
): Promise<void> {
  await askHeaders(context.endpoint, requestFor(context, 'DELETE', descriptor, ['delete'], options), {
    statuses: [202, 200, 204],
    what: `${context.name}@${descriptor.digest}`,
    absent: 'BLOB_UNKNOWN',
  });
}

/** Opens the blob at `position`. If the registry ignores Range, `skipBytes` is the number of bytes to skip. */
async function openFrom(
  context: RepositoryContext,
  descriptor: Descriptor,
  position: number,
  options: CallOptions,
): Promise<{ response: TransportResponse; skipBytes: number }> {
  const what = `${context.name}@${descriptor.digest}`;
  const request = requestFor(context, 'GET', descriptor, ['pull'], options);
  const response = await ask(
    context.endpoint,
    position === 0 ? request : { ...request, headers: { range: `bytes=${position}-${descriptor.size - 1}` } },
    { statuses: position === 0 ? [200] : [200, 206], what, absent: 'BLOB_UNKNOWN' },
  );
  const { headers, status } = response;
  const refuse = async (actual: string): Promise<never> => {
    await leave(response);
    throw sizeMismatch(what, descriptor.size, actual);
  };
  if (status === 206) {
    const start = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers['content-range'] ?? '');
    if (Number(start?.[1]) !== position) return refuse(`a range ${headers['content-range'] ?? 'without bounds'}`);
    return { response, skipBytes: 0 };
  }
  const length = headers['content-length'];
  if (length !== undefined && headers['content-encoding'] === undefined && Number(length) !== descriptor.size)
    return refuse(length);
  return { response, skipBytes: position };
}

/** Frees the memory of a chunk, unless it is shared with other chunks of the connection. */
function freeMemory({ buffer, byteLength }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}

/**
 * Opens a blob as a stream that resumes by Range after a broken connection, a limited number of times. It never yields
 * more bytes than the descriptor's size, and yields the last chunk only after the digest has been verified.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-blobs
 */
export async function openBlob(
  context: RepositoryContext,
  descriptor: Descriptor,
  options: BlobOptions = {},
): Promise<AsyncIterable<Uint8Array>> {
  const start = options.offset ?? 0;
  if (start > 0 && start >= descriptor.size) return read(undefined);
  return read(await openFrom(context, descriptor, start, options));

  async function* read(
    opened: { response: TransportResponse; skipBytes: number } | undefined,
  ): AsyncGenerator<Uint8Array> {
    const what = `${context.name}@${descriptor.digest}`;
    const digester = start === 0 ? createDigester(digestAlgorithm(descriptor.digest)) : undefined;
    let position = start;
    let failures = 0;
    let failuresHere = 0;
    let current = opened;
    const verify = (): void => {
      const actual = digester?.digest() ?? descriptor.digest;
      if (actual !== descriptor.digest) throw digestMismatch(what, descriptor.digest, actual);
    };
    if (descriptor.size === 0) verify();
    while (current !== undefined) {
      const from = position;
      let broken: TransportError | undefined;
      try {
        let { skipBytes } = current;
        for await (const piece of current.response.body) {
          const chunk = skipBytes === 0 ? piece : piece.subarray(Math.min(skipBytes, piece.length));
          skipBytes -= piece.length - chunk.length;
          if (chunk.length === 0) continue;
          if (position + chunk.length > descriptor.size) throw sizeMismatch(what, descriptor.size, 'more');
          position += chunk.length;
          failuresHere = 0;
          digester?.update(chunk);
          if (position === descriptor.size) verify();
          yield chunk;
          if (options.freesChunks === true) freeMemory(piece);
        }
      } catch (error) {
        options.signal?.throwIfAborted();
        if (!(error instanceof TransportError) || !error.transient) throw error;
        broken = error;
      }
      if (position === descriptor.size) return;
      // A range may be shorter than requested, and a body without a length may simply end.
      if (broken !== undefined || position - from < PIECE_BYTES) failures += 1;
      failuresHere += 1;
      if (failures >= MOST_BREAKS || failuresHere >= MOST_BREAKS_AT_ONE_PLACE)
        throw broken ?? sizeMismatch(what, descriptor.size, position);
      await sleepMs(pauseMs(failuresHere, context.endpoint.retryBaseMs), options.signal);
      current = await openFrom(context, descriptor, position, options);
    }
  }
}
