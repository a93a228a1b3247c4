import { describe, expect, test } from '@jest/globals';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { REQUEST_CHANNEL, type RequestEvent } from '../../../../src/oci/index.js';
import type { DispatcherOptions } from '../../../../src/oci/registry/dispatchers.js';
import { createSend } from '../../../../src/oci/registry/send.js';
import type { TransportRequest, TransportResponse } from '../../../../src/oci/registry/transport.js';
import { chunksOf, failureOf, overwrittenBody, readAll, readSlowly } from './clients.js';
import { scripted } from './scripted-server.js';

async function withSend<T>(
  run: (send: (request: Partial<TransportRequest> & { url: string }) => Promise<TransportResponse>) => Promise<T>,
  options: DispatcherOptions = {},
): Promise<T> {
  const transport = createSend(options);
  try {
    return await run((request) => transport.send({ method: 'GET', kind: 'api', ...request }));
  } finally {
    await transport.close();
  }
}

/** A TCP server, for answers that no HTTP server would send. */
async function withRawServer(
  answer: string,
  run: (origin: string) => Promise<void>,
  then: 'end' | 'hang' | 'destroy' = 'end',
): Promise<void> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.write(answer, () => {
        if (then === 'end') socket.end();
        if (then === 'destroy') socket.destroy();
      });
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  try {
    await run(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.close();
  }
}

describe('sending', () => {
  test('bytes and streams are sent with their length, and response headers have lower-case names', async () => {
    const bytes = Buffer.alloc(300_000, 1);
    await scripted(
      [
        {
          request: 'PUT /a?x=1',
          headers: { 'content-length': '300000', 'transfer-encoding': undefined },
          answer: (seen) => ({ status: 201, headers: { 'X-Length': String(seen.body.length) } }),
        },
        {
          request: 'POST /b',
          headers: { 'content-length': '0' },
          answer: { status: 200, body: 'hello', headers: { Link: ['<a>', '<b>'] } },
        },
      ],
      async (server) => {
        await withSend(async (send) => {
          const put = await send({
            method: 'PUT',
            url: `${server.origin}/a?x=1`,
            kind: 'bytes',
            body: { sizeBytes: bytes.length, open: () => chunksOf(bytes) },
          });
          expect([put.status, put.headers['x-length']]).toEqual([201, '300000']);
          await readAll(put.body);
          const post = await send({ method: 'POST', url: `${server.origin}/b`, body: new Uint8Array() });
          expect(post.headers['link']).toBe('<a>, <b>');
          expect((await readAll(post.body)).toString()).toBe('hello');
        });
      },
    );
  });

  test.each<[string, string, 'end' | 'hang' | 'destroy', string]>([
    ['closed before an answer', '', 'destroy', 'CONNECTION_CLOSED'],
    ['no HTTP', 'SSH-2.0-OpenSSH\r\n\r\n', 'end', 'CONNECTION_CLOSED'],
    ['body shorter than said', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc', 'end', 'CONNECTION_CLOSED'],
    [
      'chunked body that breaks off',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n',
      'destroy',
      'CONNECTION_CLOSED',
    ],
    ['no answer', '', 'hang', 'TIMEOUT'],
    ['body that stops', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc', 'hang', 'STALLED'],
    ['headers without end', `HTTP/1.1 200 OK\r\n${'X: y\r\n'.repeat(20_000)}`, 'hang', 'CONNECTION_CLOSED'],
  ])('%s is an error', async (_, answer, then, code) => {
    await withRawServer(
      answer,
      async (origin) => {
        const timeouts = { TIMEOUT: { firstByteMs: 300 }, STALLED: { stallMs: 300 } }[code] ?? {};
        const run = withSend(async (send) => readAll((await send({ url: `${origin}/secret?token=hidden` })).body), {
          timeouts,
        });
        const error = await failureOf(run);
        expect(error).toMatchObject({ code, transient: true });
        expect(JSON.stringify(error)).not.toContain('hidden');
      },
      then,
    );
  });

  test('a refused connection is CONNECT_FAILED', async () => {
    let origin = '';
    await withRawServer('', async (closed) => {
      origin = closed;
      await Promise.resolve();
    });
    expect(await failureOf(withSend((send) => send({ url: origin })))).toMatchObject({
      code: 'CONNECT_FAILED',
      transient: true,
    });
  });

  test('TLS to a plain HTTP server is a permanent error', async () => {
    await withRawServer('HTTP/1.1 400 Bad Request\r\n\r\n', async (origin) => {
      const error = await failureOf(withSend((send) => send({ url: origin.replace('http:', 'https:') })));
      expect(error).toMatchObject({ code: 'CONNECT_FAILED', transient: false });
    });
  });

  test("an abort before or during a request throws the caller's reason", async () => {
    const reason = new Error('enough');
    await withRawServer(
      'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc',
      async (origin) => {
        await withSend(async (send) => {
          expect(await failureOf(send({ url: origin, signal: AbortSignal.abort(reason) }))).toBe(reason);
          const controller = new AbortController();
          const { body } = await send({ url: origin, signal: controller.signal });
          const reading = failureOf(readAll(body));
          controller.abort(reason);
          expect(await reading).toBe(reason);
        });
      },
      'hang',
    );
  });

  test.each([5, 50])('a body of %d bytes instead of 20 is an error', async (sizeBytes) => {
    await scripted([{ request: 'PUT /a', answer: { status: 201 }, early: true, maybe: true }], async (server) => {
      await withSend(async (send) => {
        const body = { sizeBytes, open: () => chunksOf(Buffer.alloc(20)) };
        const put = send({ method: 'PUT', url: `${server.origin}/a`, body });
        expect(await failureOf(put.then((response) => readAll(response.body)))).toMatchObject({
          code: 'SIZE_MISMATCH',
        });
      });
    });
  });

  test('a slow server gets each chunk as it was, though its memory is used again for the next one', async () => {
    const { body, digest } = overwrittenBody(32 * 1024 * 1024);
    const server = createHttpServer((request, response) => {
      void readSlowly(request).then((received) => response.end(received));
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    await withSend(async (send) => {
      const response = await send({ method: 'PUT', url, kind: 'bytes', body });
      expect((await readAll(response.body)).toString()).toBe(digest);
    });
    server.close();
  });

  test('a body that broke before it was read is an error', async () => {
    let close = (): void => {};
    const isBroken = new Promise<void>((resolve) => {
      const listen = (): void => {
        unsubscribe('undici:request:error', listen);
        resolve();
      };
      subscribe('undici:request:error', listen);
    });
    const server = createServer((socket) => {
      close = () => socket.destroy();
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello'));
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    await withSend(async (send) => {
      const { body } = await send({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` });
      close();
      await isBroken;
      // undici emits the error of a body that nobody reads later.
      for (let pause = 0; pause < 5; pause += 1) await setImmediate();
      expect(await failureOf(readAll(body))).toMatchObject({ code: 'CONNECTION_CLOSED', transient: true });
    });
    server.close();
  });

  test('a server that does not read the body is an error', async () => {
    const sockets: Socket[] = [];
    const server = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => {});
      socket.pause();
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const bytes = Buffer.alloc(64 * 1024);
    const body = {
      sizeBytes: 1024 * bytes.length,
      open: async function* () {
        for (let count = 0; count < 1024; count += 1) {
          await Promise.resolve();
          yield bytes;
        }
      },
    };
    await withSend(
      async (send) => {
        expect(await failureOf(send({ method: 'PUT', url, kind: 'bytes', body }))).toMatchObject({
          code: 'TIMEOUT',
          transient: true,
        });
        const reason = new Error('enough');
        const controller = new AbortController();
        const failure = failureOf(send({ method: 'PUT', url, kind: 'bytes', body, signal: controller.signal }));
        setTimeout(() => controller.abort(reason), 20);
        expect(await failure).toBe(reason);
      },
      { timeouts: { firstByteMs: 500 } },
    );
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  test('a body that is never read is never opened, and an unfinished one is closed', async () => {
    let opened = 0;
    let left = 0;
    let leave = (): void => {};
    const isLeft = new Promise<void>((resolve) => {
      leave = resolve;
    });
    async function* endless(): AsyncGenerator<Uint8Array> {
      opened += 1;
      try {
        for (;;) yield Buffer.alloc(64 * 1024);
      } finally {
        left += 1;
        leave();
      }
    }
    const body = { sizeBytes: 1e12, open: endless };
    await scripted(
      [{ request: 'PUT /a', early: true, answer: { status: 401, headers: { connection: 'close' } } }],
      async (server) => {
        await withSend(async (send) => {
          expect(await failureOf(send({ method: 'PUT', url: 'http://127.0.0.1:1/', body }))).toMatchObject({
            code: 'CONNECT_FAILED',
          });
          expect(opened).toBe(0);
          const response = await send({ method: 'PUT', url: `${server.origin}/a`, body });
          expect(response.status).toBe(401);
          await readAll(response.body);
        });
      },
    );
    await isLeft;
    expect([opened, left]).toEqual([1, 1]);
  });

  test('closing an unread body releases its connection', async () => {
    await withRawServer(
      'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n',
      async (origin) => {
        await withSend(async (send) => {
          const { body } = await send({ url: origin });
          await body[Symbol.asyncIterator]().return?.();
        });
      },
      'hang',
    );
  });

  test('the end of a request is published even if its body is not read', async () => {
    const phases: string[] = [];
    const listen = (event: unknown): void => void phases.push((event as RequestEvent).phase);
    subscribe(REQUEST_CHANNEL, listen);
    try {
      await scripted([{ request: 'GET /a', answer: { status: 200, body: 'four' } }], async (server) => {
        await withSend(async (send) => {
          const { body } = await send({ url: `${server.origin}/a` });
          await body[Symbol.asyncIterator]().return?.();
          expect(phases).toEqual(['start', 'end']);
        });
      });
    } finally {
      unsubscribe(REQUEST_CHANNEL, listen);
    }
  });

  test('each request is published without secrets', async () => {
    const events: RequestEvent[] = [];
    const listen = (event: unknown): void => void events.push(event as RequestEvent);
    subscribe(REQUEST_CHANNEL, listen);
    try {
      await scripted([{ request: 'PUT /a?sig=hidden', answer: { status: 201, body: 'four' } }], async (server) => {
        await withSend(async (send) => {
          const { body } = await send({
            method: 'PUT',
            url: `${server.origin}/a?sig=hidden`,
            body: Buffer.from('abc'),
            attempt: 2,
          });
          await readAll(body);
          expect(events).toEqual([
            {
              phase: 'start',
              id: expect.any(Number),
              method: 'PUT',
              url: `${server.origin}/a`,
              kind: 'api',
              attempt: 2,
            },
            {
              phase: 'end',
              id: events[0]?.id,
              method: 'PUT',
              url: `${server.origin}/a`,
              kind: 'api',
              attempt: 2,
              status: 201,
              sentBytes: 3,
              receivedBytes: 4,
              durationMs: expect.any(Number),
            },
          ]);
        });
      });
    } finally {
      unsubscribe(REQUEST_CHANNEL, listen);
    }
  });
});
