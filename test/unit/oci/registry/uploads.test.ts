import { describe, expect, test } from '@jest/globals';
import { RegistryError, type RegistriesOptions, type RegistryRepository } from '../../../../src/oci/index.js';
import { blobOf, chunksOf, failureOf, quickClient } from './clients.js';
import { scripted, type Answer, type Exchange } from './scripted-server.js';

const BYTES = Buffer.from(Array.from({ length: 100_000 }, (_, index) => (index * 7919) % 251));
const BLOB = blobOf(BYTES);
const DIGEST = encodeURIComponent(BLOB.digest);
const HEAD: Exchange = { request: `HEAD /v2/a/blobs/${BLOB.digest}`, answer: { status: 404 } };
const POST = 'POST /v2/a/blobs/uploads/';
const SESSION = '/v2/a/blobs/uploads/1';

function started(location: string = SESSION, headers: Record<string, string> = {}): Exchange {
  return {
    request: POST,
    headers: { 'content-length': '0' },
    answer: { status: 202, headers: { location, ...headers } },
  };
}

function received(bytes: Uint8Array, answer: Answer): Exchange['answer'] {
  return ({ body }) => {
    expect(body.equals(bytes)).toBe(true);
    return answer;
  };
}

const CHUNKED: Partial<RegistriesOptions> = { uploads: { monolithicBytes: 0, chunkBytes: 40_000 } };

async function using(
  exchanges: Exchange[],
  run: (repository: RegistryRepository) => Promise<void>,
  options: Partial<RegistriesOptions> = {},
): Promise<void> {
  await scripted(exchanges, async (server) => {
    const client = quickClient(options);
    try {
      await run(client.repository(server.host, 'a'));
    } finally {
      await client.close();
    }
  });
}

async function push(repository: RegistryRepository, signal?: AbortSignal): Promise<number> {
  let counted = 0;
  await repository.pushBlob(BLOB, () => chunksOf(BYTES, 16_384), {
    onBytes: (count) => {
      counted += count;
    },
    ...(signal !== undefined && { signal }),
  });
  return counted;
}

describe('an upload in one piece', () => {
  test('an existing blob is not sent', async () => {
    await using(
      [{ ...HEAD, answer: { status: 200, headers: { 'content-length': String(BYTES.length) } } }],
      async (repository) => {
        expect(await push(repository)).toBe(0);
      },
    );
  });

  test.each<[string, string, string]>([
    ['relative', SESSION, `${SESSION}?digest=${DIGEST}`],
    ['relative to the request', '1', `${SESSION}?digest=${DIGEST}`],
    [
      'with an opaque state',
      `${SESSION}?_nouploadcache=false&_state=a%2Bb+c==`,
      `${SESSION}?_nouploadcache=false&_state=a%2Bb+c==&digest=${DIGEST}`,
    ],
  ])('Location: %s', async (_, location, target) => {
    await using(
      [
        HEAD,
        started(location),
        {
          request: `PUT ${target}`,
          headers: {
            'content-length': String(BYTES.length),
            'content-type': 'application/octet-stream',
            'transfer-encoding': undefined,
          },
          answer: received(BYTES, { status: 201, headers: { 'docker-content-digest': BLOB.digest } }),
        },
      ],
      async (repository) => expect(await push(repository)).toBe(BYTES.length),
    );
  });

  test('the empty blob', async () => {
    const empty = blobOf(new Uint8Array());
    await using(
      [
        { request: `HEAD /v2/a/blobs/${empty.digest}`, answer: { status: 404 } },
        started(),
        {
          request: `PUT ${SESSION}?digest=${encodeURIComponent(empty.digest)}`,
          headers: { 'content-length': '0' },
          answer: { status: 201 },
        },
      ],
      async (repository) => repository.pushBlob(empty, () => chunksOf(new Uint8Array())),
    );
  });

  const put = `PUT ${SESSION}?digest=${DIGEST}`;

  test.each<[string, Exchange['answer']]>([
    ['404 BLOB_UPLOAD_UNKNOWN', { status: 404, body: { errors: [{ code: 'BLOB_UPLOAD_UNKNOWN' }] } }],
    ['404 BLOB_UPLOAD_INVALID', { status: 404, body: { errors: [{ code: 'BLOB_UPLOAD_INVALID' }] } }],
    ['400 BLOB_UPLOAD_INVALID', { status: 400, body: { errors: [{ code: 'BLOB_UPLOAD_INVALID' }] } }],
    ['404 without words', { status: 404 }],
    ['416', { status: 416 }],
    ['500', { status: 500 }],
    ['a connection that breaks', (_, response) => void response.destroy()],
  ])('starts over at POST after %s', async (_, answer) => {
    await using(
      [
        HEAD,
        started(),
        { request: put, answer },
        HEAD,
        started(`${SESSION}2`),
        { request: `PUT ${SESSION}2?digest=${DIGEST}`, answer: received(BYTES, { status: 201 }) },
      ],
      async (repository) => {
        // Bytes that are sent twice are counted once.
        expect(await push(repository)).toBe(BYTES.length);
      },
    );
  });

  test('ends if the blob exists after a restart', async () => {
    await using(
      [
        HEAD,
        started(),
        { request: put, answer: (_, response) => void response.destroy() },
        { ...HEAD, answer: { status: 200, headers: { 'content-length': String(BYTES.length) } } },
      ],
      async (repository) => expect(await push(repository)).toBe(BYTES.length),
    );
  });

  test('fails after the last try', async () => {
    const lost: Exchange = {
      request: put,
      answer: { status: 404, body: { errors: [{ code: 'BLOB_UPLOAD_UNKNOWN' }] } },
      times: 4,
    };
    await using([{ ...HEAD, times: 4 }, { ...started(), times: 4 }, lost], async (repository) => {
      expect(await failureOf(push(repository))).toMatchObject({ code: 'BLOB_UPLOAD_UNKNOWN' });
    });
  });

  test('is sent again in its session after a 429', async () => {
    await using(
      [
        HEAD,
        started(),
        { request: put, answer: { status: 429, headers: { 'retry-after': '0' } } },
        { request: put, answer: received(BYTES, { status: 201 }) },
      ],
      async (repository) => expect(await push(repository)).toBe(BYTES.length),
    );
  });

  test.each<[string, Answer, string]>([
    ['a digest that is refused', { status: 400, body: { errors: [{ code: 'DIGEST_INVALID' }] } }, 'DIGEST_INVALID'],
    ['a refusal', { status: 403 }, 'DENIED'],
    [
      'another digest stored',
      { status: 201, headers: { 'docker-content-digest': `sha256:${'0'.repeat(64)}` } },
      'DIGEST_MISMATCH',
    ],
  ])('%s ends it', async (_, answer, code) => {
    await using([HEAD, started(), { request: put, answer }], async (repository) => {
      expect(await failureOf(push(repository))).toMatchObject({ code });
    });
  });

  test.each<[string, (nowhere: string) => Promise<AsyncIterable<Uint8Array>>, string]>([
    [
      'is refused',
      () => Promise.reject(new RegistryError('', { method: 'GET', url: '', status: 503, registryCodes: [] })),
      'HTTP_503',
    ],
    ['is not there', async (nowhere) => quickClient().repository(nowhere, 'b').openBlob(BLOB), 'CONNECT_FAILED'],
  ])('a source that %s: the body is not sent again into the same session', async (_, open, code) => {
    const tries = code === 'CONNECT_FAILED' ? 4 : 1;
    await using(
      [
        { ...HEAD, times: tries },
        { ...started(), times: tries },
        { request: put, early: true, maybe: true, answer: () => {}, times: tries },
      ],
      async (repository) =>
        expect(await failureOf(repository.pushBlob(BLOB, () => open('localhost:1')))).toMatchObject({ code }),
    );
  });

  test('reports an error of the source without a retry', async () => {
    const reason = new Error('the source broke');
    await using([HEAD, started(), { request: put, early: true, maybe: true, answer: () => {} }], async (repository) => {
      const failure = failureOf(
        repository.pushBlob(BLOB, async function* () {
          yield BYTES.subarray(0, 10);
          await Promise.resolve();
          throw reason;
        }),
      );
      expect(String(await failure)).toContain('the source broke');
    });
  });
});

describe('a Location on another host', () => {
  test('receives the blob but no credential', async () => {
    await scripted(
      [
        {
          request: `PUT /store?sig=1&digest=${DIGEST}`,
          headers: { authorization: undefined },
          answer: received(BYTES, { status: 201 }),
        },
      ],
      async (store) => {
        await scripted(
          [
            { ...HEAD, answer: { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } } },
            HEAD,
            {
              ...started(`${store.origin}/store?sig=1`),
              headers: { authorization: `Basic ${Buffer.from('u:p').toString('base64')}` },
            },
          ],
          async (server) => {
            const client = quickClient({
              credentials: { get: () => Promise.resolve({ kind: 'basic', username: 'u', password: 'p' }) },
            });
            await push(client.repository(server.host, 'a'));
            await client.close();
          },
        );
      },
    );
  });

  test('receives nothing if only certain registries are allowed', async () => {
    await scripted([], async (store) => {
      await scripted([HEAD, started(`${store.origin}/store`)], async (server) => {
        const client = quickClient({ allowedRegistries: [server.host] });
        expect(await failureOf(push(client.repository(server.host, 'a')))).toMatchObject({
          code: 'REGISTRY_NOT_ALLOWED',
        });
        await client.close();
      });
    });
  });

  test.each(['http://', ''])('that is invalid is an error: %j', async (location) => {
    const answer = { status: 202, headers: location === '' ? {} : { location } };
    await using([HEAD, { ...started(), answer }], async (repository) => {
      expect(await failureOf(push(repository))).toMatchObject({ code: 'LOCATION_INVALID' });
    });
  });
});

describe('an upload in pieces', () => {
  const piece = (number: number, start: number, end: number, answer?: Exchange['answer']): Exchange => ({
    request: `PATCH ${SESSION}?_state=${number}`,
    headers: {
      'content-range': `${start}-${end - 1}`,
      'content-length': String(end - start),
      'transfer-encoding': undefined,
    },
    answer:
      answer ??
      received(BYTES.subarray(start, end), {
        status: 202,
        headers: { location: `${SESSION}?_state=${number + 1}`, range: `0-${end - 1}` },
      }),
  });
  const commit: Exchange = {
    request: `PUT ${SESSION}?_state=3&digest=${DIGEST}`,
    headers: { 'content-length': '0' },
    answer: { status: 201 },
  };
  const begun = [HEAD, started(`${SESSION}?_state=0`)];

  test('have a known length and go to the newest Location', async () => {
    await using(
      [...begun, piece(0, 0, 40_000), piece(1, 40_000, 80_000), piece(2, 80_000, 100_000), commit],
      async (repository) => expect(await push(repository)).toBe(BYTES.length),
      CHUNKED,
    );
  });

  test("are not smaller than the registry's minimum", async () => {
    await using(
      [
        HEAD,
        started(`${SESSION}?_state=1`, { 'oci-chunk-min-length': '60000' }),
        piece(1, 0, 60_000),
        piece(2, 60_000, 100_000),
        commit,
      ],
      async (repository) => expect(await push(repository)).toBe(BYTES.length),
      CHUNKED,
    );
  });

  test.each<[string, Exchange['answer']]>([
    ['a connection that breaks', (_, response) => void response.destroy()],
    ['502', { status: 502 }],
  ])('a piece is sent again after %s, where it did not arrive', async (_, answer) => {
    await using(
      [
        ...begun,
        piece(0, 0, 40_000),
        piece(1, 40_000, 80_000, answer),
        {
          request: `GET ${SESSION}?_state=1`,
          answer: { status: 204, headers: { location: `${SESSION}?_state=1`, range: '0-39999' } },
        },
        piece(1, 40_000, 80_000),
        piece(2, 80_000, 100_000),
        commit,
      ],
      async (repository) => expect(await push(repository)).toBe(BYTES.length),
      CHUNKED,
    );
  });

  test('is not sent again if it arrived', async () => {
    await using(
      [
        ...begun,
        piece(0, 0, 40_000),
        piece(1, 40_000, 80_000, (_, response) => void response.destroy()),
        {
          request: `GET ${SESSION}?_state=1`,
          answer: { status: 204, headers: { location: `${SESSION}?_state=2`, range: 'bytes=0-79999' } },
        },
        piece(2, 80_000, 100_000),
        commit,
      ],
      async (repository) => expect(await push(repository)).toBe(BYTES.length),
      CHUNKED,
    );
  });

  test('the received part of an interrupted chunk is not sent again', async () => {
    await using(
      [
        ...begun,
        piece(0, 0, 40_000),
        piece(1, 40_000, 80_000, (_, response) => void response.destroy()),
        {
          request: `GET ${SESSION}?_state=1`,
          answer: { status: 204, headers: { location: `${SESSION}?_state=2`, range: '0-49999' } },
        },
        piece(2, 50_000, 90_000),
        piece(3, 90_000, 100_000),
        { ...commit, request: `PUT ${SESSION}?_state=4&digest=${DIGEST}` },
      ],
      async (repository) => expect(await push(repository)).toBe(BYTES.length),
      CHUNKED,
    );
  });

  test('the first chunk is sent again if nothing arrived', async () => {
    await using(
      [
        ...begun,
        piece(0, 0, 40_000, (_, response) => void response.destroy()),
        { request: `GET ${SESSION}?_state=0`, answer: { status: 204, headers: { range: '0-0' } } },
        piece(0, 0, 40_000),
        piece(1, 40_000, 80_000),
        piece(2, 80_000, 100_000),
        commit,
      ],
      async (repository) => expect(await push(repository)).toBe(BYTES.length),
      CHUNKED,
    );
  });

  test.each<[string, Exchange[]]>([
    [
      '404 BLOB_UPLOAD_INVALID',
      [piece(1, 40_000, 80_000, { status: 404, body: { errors: [{ code: 'BLOB_UPLOAD_INVALID' }] } })],
    ],
    ['416', [piece(1, 40_000, 80_000, { status: 416 })]],
    [
      'a break, when the session is gone',
      [
        piece(1, 40_000, 80_000, (_, response) => void response.destroy()),
        { request: `GET ${SESSION}?_state=1`, answer: { status: 404 } },
      ],
    ],
  ])('start over at POST after %s', async (_, failing) => {
    await using(
      [
        ...begun,
        piece(0, 0, 40_000),
        ...failing,
        ...begun,
        piece(0, 0, 40_000),
        piece(1, 40_000, 80_000),
        piece(2, 80_000, 100_000),
        commit,
      ],
      async (repository) => expect(await push(repository)).toBe(BYTES.length),
      CHUNKED,
    );
  });

  test('are used after a 413 for one piece', async () => {
    await using(
      [
        HEAD,
        started(),
        { request: `PUT ${SESSION}?digest=${DIGEST}`, answer: { status: 413 } },
        HEAD,
        started(`${SESSION}?_state=2`),
        {
          ...piece(2, 0, 100_000),
          answer: received(BYTES, { status: 202, headers: { location: `${SESSION}?_state=3` } }),
        },
        commit,
      ],
      async (repository) => expect(await push(repository)).toBe(BYTES.length),
    );
  });

  test.each<[string, Uint8Array]>([
    ['shorter', BYTES.subarray(0, -1)],
    ['longer', Buffer.concat([BYTES, BYTES])],
  ])('a source that is %s than was said is never committed', async (name, bytes) => {
    const pieces = [piece(0, 0, 40_000), piece(1, 40_000, 80_000)];
    // A body that is too short breaks off in the last chunk.
    if (name === 'longer') pieces.push(piece(2, 80_000, 100_000));
    await using(
      [...begun, ...pieces],
      async (repository) =>
        expect(await failureOf(repository.pushBlob(BLOB, () => chunksOf(bytes)))).toMatchObject({
          code: 'SIZE_MISMATCH',
        }),
      CHUNKED,
    );
  });
});

describe('mounting', () => {
  const MOUNT = `POST /v2/a/blobs/uploads/?mount=${DIGEST}&from=b%2Fc`;

  test('201', async () => {
    await using(
      [
        {
          request: MOUNT,
          headers: { 'content-length': '0' },
          answer: { status: 201, headers: { 'docker-content-digest': BLOB.digest } },
        },
      ],
      async (repository) => {
        expect(await repository.mountBlob(BLOB, 'b/c')).toBe(true);
      },
    );
  });

  test.each([204, 404, 500])(
    'a 202 is not a mount, and the upload is cancelled whatever the answer: %d',
    async (status) => {
      await using(
        [
          { request: MOUNT, answer: { status: 202, headers: { location: SESSION } } },
          { request: `DELETE ${SESSION}`, answer: { status } },
        ],
        async (repository) => expect(await repository.mountBlob(BLOB, 'b/c')).toBe(false),
      );
    },
  );

  test.each([401, 403, 404, 405])('status %d is not a mount', async (status) => {
    await using([{ request: MOUNT, answer: { status } }], async (repository) => {
      expect(await repository.mountBlob(BLOB, 'b/c')).toBe(false);
    });
  });

  test('needs scopes for both repositories, and is skipped without a token', async () => {
    await scripted([], async (server) => {
      server.script(
        {
          request: MOUNT,
          answer: { status: 401, headers: { 'www-authenticate': `Bearer realm="${server.origin}/token"` } },
        },
        {
          request: 'GET /token?scope=repository%3Aa%3Apull%2Cpush&scope=repository%3Ab%2Fc%3Apull',
          answer: { status: 403 },
        },
      );
      const client = quickClient();
      expect(await client.repository(server.host, 'a').mountBlob(BLOB, 'b/c')).toBe(false);
      await client.close();
    });
  });
});

test('an invalid repository is refused', async () => {
  await using([], async (repository) => {
    const failure = failureOf(repository.mountBlob(BLOB, 'b:pull,push repository:c'));
    expect(await failure).toMatchObject({ code: 'REFERENCE_INVALID' });
  });
});

describe('a token that expires during an upload', () => {
  const state = (number: number): string => `${SESSION}?_state=${number}`;
  const piece = (number: number): Exchange => {
    const bytes = BYTES.subarray(number * 40_000, (number + 1) * 40_000);
    return {
      request: `PATCH ${state(number)}`,
      answer: received(bytes, { status: 202, headers: { location: state(number + 1) } }),
    };
  };
  const whole: Exchange[] = [
    HEAD,
    started(state(0)),
    piece(0),
    piece(1),
    piece(2),
    { request: `PUT ${state(3)}&digest=${DIGEST}`, answer: { status: 201 } },
  ];

  // The first request requests the token, so a refusal of it does not mean an expired token.
  test.each(whole.map(({ request }, index) => [request.split('?')[0], index] as const).slice(1))(
    '%s (request %d)',
    async (_, endsAt) => {
      await scripted([], async (server) => {
        const refused = {
          status: 401,
          headers: { 'www-authenticate': `Bearer realm="${server.origin}/token",error="invalid_token"` },
        };
        const token = (name: string): Exchange => ({
          request: 'GET /token?scope=repository%3Aa%3Apull%2Cpush',
          answer: { status: 200, body: { token: name } },
        });
        const with1 = { authorization: 'Bearer t1' };
        const with2 = { authorization: 'Bearer t2' };
        server.script(
          { request: HEAD.request, headers: { authorization: undefined }, answer: refused },
          token('t1'),
          token('t2'),
        );
        for (const [index, exchange] of whole.entries()) {
          if (index === endsAt) server.script({ request: exchange.request, headers: with1, answer: refused });
          server.script({ ...exchange, headers: { ...exchange.headers, ...(index < endsAt ? with1 : with2) } });
        }
        const client = quickClient(CHUNKED);
        expect(await push(client.repository(server.host, 'a'))).toBe(BYTES.length);
        await client.close();
      });
    },
  );

  test('is replaced for the single PUT, whose body is opened again', async () => {
    await scripted([], async (server) => {
      const refused = { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } };
      server.script(HEAD, started(), { request: `PUT ${SESSION}?digest=${DIGEST}`, early: true, answer: refused });
      server.script({ request: `PUT ${SESSION}?digest=${DIGEST}`, answer: received(BYTES, { status: 201 }) });
      const client = quickClient({
        credentials: { get: () => Promise.resolve({ kind: 'basic', username: 'u', password: 'p' }) },
      });
      expect(await push(client.repository(server.host, 'a'))).toBe(BYTES.length);
      await client.close();
    });
  });
});
