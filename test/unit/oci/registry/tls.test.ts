import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createServer } from 'node:http';
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from 'node:http2';
import { connect, type AddressInfo, type Socket } from 'node:net';
import type { DispatcherOptions } from '../../../../src/oci/registry/dispatchers.js';
import { transportErrorFrom } from '../../../../src/oci/registry/network-error.js';
import { createSend } from '../../../../src/oci/registry/send.js';
import { retry } from '../../../../src/oci/registry/retry.js';
import type { TransportRequest, TransportResponse } from '../../../../src/oci/registry/transport.js';
import { CN, issue, issueAuthority } from '../../../support/certificates.js';
import { failureOf, overwrittenBody, readAll, readSlowly } from './clients.js';

const authority = issueAuthority({ subject: [[CN, 'test authority']] });
const certificate = (name: string): { cert: string; key: string } => {
  const { pem, keyPem } = issue({ subject: [[CN, name]], issuer: authority });
  return { cert: pem, key: keyPem };
};

let server: Http2SecureServer;
let port = 0;
let answer: (request: Http2ServerRequest, response: Http2ServerResponse) => void;
let connections = 0;
const sockets = new Set<Socket>();

beforeAll(async () => {
  server = createSecureServer({ ...certificate('localhost'), allowHTTP1: true }, (request, response) =>
    answer(request, response),
  );
  server.addContext('registry.invalid', certificate('registry.invalid'));
  server.on('connection', (socket: Socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  // A session that the test destroys is not an error.
  server.on('sessionError', () => {});
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  ({ port } = server.address() as AddressInfo);
});

afterAll(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
});

beforeEach(() => {
  connections = 0;
  answer = (request, response) => {
    response.setHeader('x-version', request.httpVersion);
    response.end('hello');
  };
});

type Run = (send: (request: Partial<TransportRequest>) => Promise<TransportResponse>) => Promise<void>;

async function withSend(options: DispatcherOptions, run: Run): Promise<void> {
  const transport = createSend(options);
  const repeated = retry(transport, { baseMs: 1 });
  try {
    await run((request) =>
      repeated.send({ method: 'GET', kind: 'api', url: `https://localhost:${port}/x`, ...request }),
    );
  } finally {
    await transport.close();
  }
}

const trusting: DispatcherOptions = { ca: authority.pem };

describe('TLS', () => {
  test('small requests use HTTP/2, large blobs HTTP/1.1, and HEAD keeps its connection', async () => {
    await withSend(trusting, async (send) => {
      for (let count = 0; count < 5; count += 1)
        expect((await send({ method: 'HEAD' })).headers['x-version']).toBe('2.0');
      const { headers, body } = await send({ kind: 'bytes' });
      expect(headers['x-version']).toBe('1.1');
      expect((await readAll(body)).toString()).toBe('hello');
      for (let count = 0; count < 5; count += 1) await send({ method: 'HEAD', kind: 'bytes' });
      // One connection for each HTTP version, and one more if the first was not yet released. With undici's defaults
      // there would be twelve.
      expect(connections).toBeLessThanOrEqual(3);
    });
  });

  test('a slow server gets each chunk as it was, though its memory is used again for the next one', async () => {
    const { body, digest } = overwrittenBody(32 * 1024 * 1024);
    answer = (request, response) => {
      void readSlowly(request).then((received) => response.end(received));
    };
    await withSend(trusting, async (send) => {
      const response = await send({ method: 'PUT', kind: 'bytes', body });
      expect((await readAll(response.body)).toString()).toBe(digest);
    });
  });

  test('an unknown authority is not trusted and not retried', async () => {
    await withSend({}, async (send) => {
      expect(await failureOf(send({}))).toMatchObject({ code: 'CONNECT_FAILED', transient: false });
    });
    await withSend({ insecure: true }, async (send) => expect((await send({ method: 'HEAD' })).status).toBe(200));
  });

  test.each([
    'INVALID_PURPOSE',
    'INVALID_CA',
    'PATH_LENGTH_EXCEEDED',
    'HOSTNAME_MISMATCH',
    'CRL_HAS_EXPIRED',
    'CERT_HAS_EXPIRED',
    'ERROR_IN_CERT_NOT_AFTER_FIELD',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  ])('%s is a certificate error and not retried', (code) => {
    const error = transportErrorFrom(Object.assign(new Error('no'), { code }), { method: 'GET', url: 'https://r/v2/' });
    expect(error).toMatchObject({ code: 'CONNECT_FAILED', transient: false });
  });

  test('a certificate for another name is not trusted', async () => {
    await withSend(trusting, async (send) => {
      expect(await failureOf(send({ url: `https://127.0.0.1:${port}/` }))).toMatchObject({
        code: 'CONNECT_FAILED',
        transient: false,
      });
    });
  });
});

describe('HTTP/2', () => {
  test.each<[string, (response: Http2ServerResponse) => void]>([
    ['a stream that is reset', (response) => response.stream.close(2)],
    ['a session that is destroyed', (response) => response.stream.session?.destroy()],
  ])('%s is asked again', async (_, breakOff) => {
    let requests = 0;
    answer = (__, response) => {
      requests += 1;
      if (requests === 1) breakOff(response);
      else response.end('hello');
    };
    await withSend(trusting, async (send) => {
      const { body } = await send({});
      expect((await readAll(body)).toString()).toBe('hello');
    });
  });

  test('a session closed by the server is replaced', async () => {
    answer = (_, response) => {
      response.stream.session?.goaway(0);
      response.end('hello');
    };
    await withSend(trusting, async (send) => {
      for (let count = 0; count < 3; count += 1)
        expect((await readAll((await send({})).body)).toString()).toBe('hello');
      expect(connections).toBe(3);
    });
  });

  test.each<[string, (response: Http2ServerResponse) => void, string]>([
    ['no answer', () => {}, 'TIMEOUT'],
    ['a body that stops', (response) => response.write('he'), 'STALLED'],
    ['a body that breaks off', (response) => response.write('he', () => response.stream.close(2)), 'CONNECTION_CLOSED'],
  ])('%s is an error', async (_, reply, code) => {
    answer = (__, response) => reply(response);
    const timeouts = { TIMEOUT: { firstByteMs: 200 }, STALLED: { stallMs: 200 } }[code] ?? {};
    const transport = createSend({ ...trusting, timeouts });
    const read = transport
      .send({ method: 'GET', kind: 'api', url: `https://localhost:${port}/x` })
      .then(({ body }) => readAll(body));
    expect(await failureOf(read)).toMatchObject({ code, transient: true });
    await transport.close();
  });

  test('many concurrent requests with bodies succeed', async () => {
    answer = (request, response) => {
      request.pipe(response);
    };
    await withSend(trusting, async (send) => {
      const texts = Array.from({ length: 100 }, (_, number) => `number ${number}`);
      const echoed = await Promise.all(
        texts.map(async (text) =>
          (await readAll((await send({ method: 'PUT', body: Buffer.from(text) })).body)).toString(),
        ),
      );
      expect(echoed).toEqual(texts);
      expect(connections).toBe(1);
    });
  });
});

describe('a proxy', () => {
  async function withProxy(
    refusal: number | undefined,
    run: (url: string, seen: string[]) => Promise<void>,
  ): Promise<void> {
    const seen: string[] = [];
    const proxy = createServer((request, response) => {
      seen.push(`${request.method ?? ''} ${request.url ?? ''}`);
      response.end('by proxy');
    });
    proxy.on('connect', (request, socket: Socket) => {
      seen.push(`CONNECT ${request.url ?? ''}`);
      if (refusal !== undefined) {
        socket.end(`HTTP/1.1 ${refusal} No\r\n\r\n`);
        return;
      }
      const onward = connect(port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        onward.pipe(socket);
        socket.pipe(onward);
      });
      onward.on('error', () => socket.destroy());
      socket.on('error', () => onward.destroy());
    });
    await new Promise<void>((resolve) => {
      proxy.listen(0, '127.0.0.1', resolve);
    });
    try {
      await run(`http://127.0.0.1:${(proxy.address() as AddressInfo).port}`, seen);
    } finally {
      proxy.closeAllConnections();
      proxy.close();
    }
  }

  test('everything except loopback uses the proxy', async () => {
    await withProxy(undefined, async (proxy, seen) => {
      await withSend({ ...trusting, proxy }, async (send) => {
        const { body } = await send({ url: 'https://registry.invalid/v2/', kind: 'bytes' });
        expect((await readAll(body)).toString()).toBe('hello');
        await send({ method: 'HEAD' });
        expect(seen).toEqual(['CONNECT registry.invalid:443']);
      });
    });
  });

  test('a refusing proxy is CONNECT_FAILED', async () => {
    await withProxy(407, async (proxy) => {
      const transport = createSend({ ...trusting, proxy });
      const failure = failureOf(transport.send({ method: 'GET', kind: 'api', url: 'https://registry.invalid/v2/' }));
      expect(await failure).toMatchObject({ code: 'CONNECT_FAILED' });
      await transport.close();
    });
  });
});
