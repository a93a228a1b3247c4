import { OCTET_STREAM } from '../blob-access.js';
import type { Descriptor } from '../descriptor.js';
import { createDigester, digestAlgorithm, type Digest } from '../digest.js';
import { IntegrityError, RegistryError, TransportError } from '../errors.js';
import type { CallOptions } from '../store.js';
import { leave } from './body.js';
import { apiUrl, ask, askHeaders, kindOf, scopesFor, type Actions, type RepositoryContext } from './endpoint.js';
import { pauseMs, sleepMs } from './retry.js';
import type { TransportRequest, TransportResponse } from './transport.js';

/** Times one download is gone on with after it broke; the error of the last break is thrown. */
const MOST_BREAKS = 20;
/** Times without a single byte in between. */
const MOST_BREAKS_AT_ONE_PLACE = 4;
/** Bytes that an answer must have brought for its early end not to count among the breaks. */
const PIECE_BYTES = 1024 * 1024;

function requestFor(
  context: RepositoryContext,
  method: TransportRequest['method'],
  descriptor: Descriptor,
  actions: Actions,
  options: CallOptions,
): TransportRequest {
  return {
    method,
    url: apiUrl(context, `blobs/${descriptor.digest}`),
    kind: method === 'GET' ? kindOf(descriptor.size) : 'api',
    isBlob: method === 'GET' || method === 'HEAD',
    scopes: scopesFor(context, actions),
    ...(options.signal !== undefined && { signal: options.signal }),
  };
}

function wrongSize(what: string, expected: number, actual: number | string): IntegrityError {
  return new IntegrityError('SIZE_MISMATCH', `${what}: expected ${expected} bytes, got ${actual}`, {
    details: { expected, actual },
  });
}

/** @param actions what the token is to allow: more than reading, where more is to follow. */
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
  // Some answer every HEAD with 0, which says nothing.
  if (length !== undefined && Number(length) !== 0 && Number(length) !== descriptor.size)
    throw wrongSize(what, descriptor.size, length);
  return true;
}

/** By HEAD. @throws RegistryError `BLOB_UNKNOWN`; `SIZE_UNKNOWN` where the registry doesn't say how large it is */
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
  throw new RegistryError(
    `${what}: the registry does not say how large it is`,
    { method: 'HEAD', url: request.url, status: 200, registryCodes: [] },
    { code: 'SIZE_UNKNOWN' },
  );
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

/** The bytes from `position` on; where the registry ignores Range, what comes before is read past. */
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
    throw wrongSize(what, descriptor.size, actual);
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

/**
 * A blob as a stream that goes on where it broke, by Range, a bounded number of times. Nothing past the descriptor's size is
 * passed on, and the last piece only after the digest was found right.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-blobs
 */
export async function openBlob(
  context: RepositoryContext,
  descriptor: Descriptor,
  options: CallOptions & { offset?: number } = {},
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
      if (actual === descriptor.digest) return;
      throw new IntegrityError('DIGEST_MISMATCH', `${what}: its bytes have the digest ${actual}`, {
        details: { expected: descriptor.digest, actual },
      });
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
          if (position + chunk.length > descriptor.size) throw wrongSize(what, descriptor.size, 'more');
          position += chunk.length;
          failuresHere = 0;
          digester?.update(chunk);
          if (position === descriptor.size) verify();
          yield chunk;
        }
      } catch (error) {
        options.signal?.throwIfAborted();
        if (!(error instanceof TransportError) || !error.transient) throw error;
        broken = error;
      }
      if (position === descriptor.size) return;
      // A part may be shorter than was asked for, and a body that names no length may just end.
      if (broken !== undefined || position - from < PIECE_BYTES) failures += 1;
      failuresHere += 1;
      if (failures >= MOST_BREAKS || failuresHere >= MOST_BREAKS_AT_ONE_PLACE)
        throw broken ?? wrongSize(what, descriptor.size, position);
      await sleepMs(pauseMs(failuresHere, context.endpoint.retryBaseMs), options.signal);
      current = await openFrom(context, descriptor, position, options);
    }
  }
}
