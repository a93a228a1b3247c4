import { on } from 'node:events';
import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { isRecord } from '../descriptor.js';
import { announceRequest } from './diagnostics.js';
import { createDispatchers, type DispatcherOptions } from './dispatchers.js';
import { inOneBuffer } from './one-buffer.js';
import { markSent, transportErrorFrom } from './network-error.js';
import type { StreamBody, Transport, TransportRequest, TransportResponse } from './transport.js';
import { redactUrl } from './urls.js';

/** Bytes of a response that is read by the stream's own iterator, which leaves less behind if there is one chunk. */
const SMALL_BYTES = 64 * 1024;

/** Yields each chunk as it was received. The iterator of a stream copies all waiting chunks into a new one. */
async function* asReceived(body: Readable): AsyncGenerator<Uint8Array> {
  const events = on(body, 'data', { close: ['end', 'close'], highWaterMark: 1, lowWaterMark: 1 });
  for await (const [chunk] of events as AsyncIterable<[Uint8Array]>) yield chunk;
}

/** Bytes of a response that wait until they are read. With undici's 64 KiB, the connection pauses too often. */
const WAITING_BYTES = 256 * 1024;

/** The body is opened only when the connection is ready for it, so that an unread body is never opened. */
async function* readBody(
  body: StreamBody,
  count: (bytes: number) => void,
  broke: (error: unknown) => void,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const bytes of inOneBuffer(await body.open(), body.sizeBytes)) {
      count(bytes.length);
      yield bytes;
    }
  } catch (error) {
    broke(error);
    throw error;
  }
}

/** undici accepts any async iterable and ends its loop when the connection breaks, but its types do not say so. */
function asBody(chunks: AsyncIterable<Uint8Array>): Readable {
  return chunks as unknown as Readable;
}

/** Makes a body that releases its connection even if it was never read or nothing more arrives. */
function closable(
  chunks: AsyncGenerator<Uint8Array, undefined>,
  body: Readable,
  finish: () => void,
): AsyncIterableIterator<Uint8Array> {
  body.on('error', () => {});
  return {
    next: () => chunks.next(),
    return: async () => {
      body.destroy();
      const end = await chunks.return(undefined);
      // A generator that was never started does not run its `finally`.
      finish();
      return end;
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

function flattenHeaders(headers: Dispatcher.ResponseData['headers']): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) result[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return result;
}

/** The lowest layer: sends one request with undici. Only this file and `dispatchers.ts` use that library. */
export function createSend(options: DispatcherOptions = {}): Transport & { close(): Promise<void> } {
  const dispatchers = createDispatchers(options);

  async function send(request: TransportRequest): Promise<TransportResponse> {
    const { method, kind, body, signal } = request;
    signal?.throwIfAborted();
    const url = new URL(request.url);
    const safeUrl = redactUrl(request.url);
    const end = announceRequest({ method, url: safeUrl, kind, attempt: request.attempt ?? 1 });
    let sentBytes = 0;
    let receivedBytes = 0;
    let status: number | undefined;
    const finish = (error?: unknown): void => {
      const code = error === undefined ? undefined : isRecord(error) ? error.code : 'ABORTED';
      end({
        sentBytes,
        receivedBytes,
        ...(status !== undefined && { status }),
        ...(code !== undefined && { error: typeof code === 'string' ? code : 'ABORTED' }),
      });
    };
    const fail = (cause: unknown): unknown => {
      const error =
        source === undefined ? transportErrorFrom(cause, { method, url: safeUrl, signal }) : markSent(source.error);
      finish(error);
      return error;
    };

    const count = (bytes: number): void => {
      sentBytes += bytes;
    };
    // The error of the body's source. It is reported instead of the connection error that follows from it.
    let source: { error: unknown } | undefined;
    const broke = (error: unknown): void => {
      source = { error };
    };
    const sizeBytes = body instanceof Uint8Array ? body.length : body?.sizeBytes;
    let response: Dispatcher.ResponseData;
    try {
      response = await dispatchers.for(kind, url).request({
        origin: url.origin,
        path: url.pathname + url.search,
        method,
        // By default undici closes the connection after each HEAD, and half of all requests are HEAD.
        reset: false,
        highWaterMark: WAITING_BYTES,
        headers: {
          ...request.headers,
          ...(sizeBytes !== undefined && { 'content-length': String(sizeBytes) }),
        },
        body: body instanceof Uint8Array || body === undefined ? (body ?? null) : asBody(readBody(body, count, broke)),
        signal: signal ?? null,
      });
    } catch (cause) {
      throw fail(cause);
    }
    if (body instanceof Uint8Array) sentBytes = body.length;
    status = response.statusCode;
    const answer = { status, headers: flattenHeaders(response.headers), url: request.url };

    if (method === 'HEAD' || status === 204 || status === 304) {
      await response.body.dump();
      finish();
      return { ...answer, body: nothing() };
    }
    async function* read(): AsyncGenerator<Uint8Array, undefined> {
      try {
        // An error that came before is not emitted again.
        if (response.body.errored) throw response.body.errored;
        const isSmall = Number(response.headers['content-length'] ?? Infinity) <= SMALL_BYTES;
        const chunks = isSmall ? response.body : asReceived(response.body);
        for await (const chunk of chunks as AsyncIterable<Uint8Array>) {
          receivedBytes += chunk.length;
          yield chunk;
        }
      } catch (cause) {
        throw fail(cause);
      } finally {
        finish();
      }
      return undefined;
    }
    return { ...answer, body: closable(read(), response.body, finish) };
  }

  return {
    send,
    close: () => dispatchers.close(),
  };
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
