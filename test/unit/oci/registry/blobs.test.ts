import { describe, expect, test } from '@jest/globals';
import { digestOf, type Descriptor, type RegistryRepository } from '../../../../src/oci/index.js';
import { blobOf, failureOf, quickClient, readAll } from './clients.js';
import { scripted, type Exchange } from './scripted-server.js';

const BYTES = Buffer.from(Array.from({ length: 200_000 }, (_, index) => (index * 7919) % 251));
const BLOB = blobOf(BYTES);
const GET = `GET /v2/a/blobs/${BLOB.digest}`;
const HEAD = `HEAD /v2/a/blobs/${BLOB.digest}`;

async function using(
  exchanges: Exchange[],
  run: (repository: RegistryRepository, host: string) => Promise<void>,
): Promise<void> {
  await scripted(exchanges, async (server) => {
    const client = quickClient();
    try {
      await run(client.repository(server.host, 'a'), server.host);
    } finally {
      await client.close();
    }
  });
}

/** Sends the bytes from the requested position, and closes the connection after `breakAfter` bytes. */
function ranged(breakAfter: number, bytes: Uint8Array = BYTES): Exchange['answer'] {
  return ({ headers }, response) => {
    const from = Number(/^bytes=(\d+)-/.exec(headers.range ?? 'bytes=0-')?.[1]);
    const end = Math.min(bytes.length, from + breakAfter);
    response.writeHead(headers.range === undefined ? 200 : 206, {
      'content-length': bytes.length - from,
      ...(headers.range !== undefined && { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` }),
    });
    response.write(bytes.subarray(from, end), () => (end === bytes.length ? response.end() : response.destroy()));
  };
}

async function read(repository: RegistryRepository, descriptor: Descriptor = BLOB, offset = 0): Promise<Buffer> {
  return readAll(await repository.openBlob(descriptor, { offset }));
}

describe('a download', () => {
  test('returns the whole blob', async () => {
    await using(
      [{ request: GET, headers: { range: undefined }, answer: { status: 200, body: BYTES } }],
      async (repository) => {
        expect((await read(repository)).equals(BYTES)).toBe(true);
      },
    );
  });

  test('resumes after each broken connection', async () => {
    await using([{ request: GET, answer: ranged(50_000), times: 4 }], async (repository) => {
      expect((await read(repository)).equals(BYTES)).toBe(true);
    });
  });

  test('resumes at a registry without Range support', async () => {
    await using(
      [
        { request: GET, answer: ranged(120_000) },
        { request: GET, headers: { range: 'bytes=120000-199999' }, answer: { status: 200, body: BYTES } },
      ],
      async (repository) => expect((await read(repository)).equals(BYTES)).toBe(true),
    );
  });

  test('fails after several attempts without a byte', async () => {
    await using([{ request: GET, answer: ranged(0), times: 4 }], async (repository) => {
      expect(await failureOf(read(repository))).toMatchObject({ code: 'CONNECTION_CLOSED', transient: true });
    });
  });

  test('fails after too many attempts with few bytes', async () => {
    await using([{ request: GET, answer: ranged(1), times: 20 }], async (repository) => {
      expect(await failureOf(read(repository))).toMatchObject({ code: 'CONNECTION_CLOSED' });
    });
  });

  test('reports an error answer to the resumed request', async () => {
    await using(
      [
        { request: GET, answer: ranged(50_000) },
        { request: GET, answer: { status: 404 } },
      ],
      async (repository) => expect(await failureOf(read(repository))).toMatchObject({ code: 'BLOB_UNKNOWN' }),
    );
  });

  test.each<[string, Exchange['answer'], string]>([
    ['other bytes', { status: 200, body: Buffer.alloc(BYTES.length) }, 'DIGEST_MISMATCH'],
    ['another length, said', { status: 200, body: BYTES.subarray(1) }, 'SIZE_MISMATCH'],
    [
      'too few bytes, unsaid',
      (_, response) => {
        response.writeHead(200, { 'transfer-encoding': 'chunked' });
        response.end(BYTES.subarray(1));
      },
      'SIZE_MISMATCH',
    ],
    [
      'bytes without end',
      (_, response) => {
        response.writeHead(200, { 'transfer-encoding': 'chunked' });
        const more = (): void => {
          while (!response.destroyed && response.write(Buffer.alloc(64 * 1024)));
        };
        response.on('drain', more);
        more();
      },
      'SIZE_MISMATCH',
    ],
    [
      'the right bytes and then more',
      (_, response) => {
        response.writeHead(200, { 'transfer-encoding': 'chunked' });
        response.write(BYTES, () => setTimeout(() => response.end('more'), 20));
      },
      'SIZE_MISMATCH',
    ],
  ])('%s', async (name, answer, code) => {
    // A body that ends early is resumed a few times.
    const more = name === 'too few bytes, unsaid' ? 3 : 0;
    await using([{ request: GET, answer, times: 1 + more }], async (repository) => {
      let passed = 0;
      const error = await failureOf(
        (async () => {
          for await (const chunk of await repository.openBlob(BLOB)) passed += chunk.length;
        })(),
      );
      expect(error).toMatchObject({ code, transient: false });
      // A wrong blob is never yielded completely.
      if (name !== 'the right bytes and then more') expect(passed).toBeLessThan(BYTES.length);
    });
  });

  test('starts at an offset', async () => {
    await using(
      [{ request: GET, headers: { range: 'bytes=199990-199999' }, answer: ranged(1e9) }],
      async (repository) => {
        expect((await read(repository, BLOB, 199_990)).equals(BYTES.subarray(199_990))).toBe(true);
        expect(await read(repository, BLOB, BYTES.length)).toHaveLength(0);
      },
    );
  });

  test('accepts ranges that are shorter than requested', async () => {
    const answer: Exchange['answer'] = ({ headers }) => {
      const from = Number(/^bytes=(\d+)-/.exec(headers.range ?? '')?.[1]);
      const end = Math.min(BYTES.length, from + 70_000);
      const range = `bytes ${from}-${end - 1}/${BYTES.length}`;
      return { status: 206, headers: { 'content-range': range }, body: BYTES.subarray(from, end) };
    };
    await using(
      [
        { request: GET, answer: ranged(10_000) },
        { request: GET, answer, times: 3 },
      ],
      async (repository) => expect((await read(repository)).equals(BYTES)).toBe(true),
    );
  });

  test('resumes a body without a length that ends early', async () => {
    await using(
      [
        {
          request: GET,
          answer: (_, response) => {
            response.writeHead(200, { 'transfer-encoding': 'chunked' });
            response.end(BYTES.subarray(0, 60_000));
          },
        },
        { request: GET, headers: { range: `bytes=60000-${BYTES.length - 1}` }, answer: ranged(BYTES.length) },
      ],
      async (repository) => expect((await read(repository)).equals(BYTES)).toBe(true),
    );
  });

  test('fails if the registry returns another range', async () => {
    await using(
      [
        {
          request: GET,
          answer: { status: 206, headers: { 'content-range': 'bytes 0-9/200000' }, body: BYTES.subarray(0, 10) },
        },
      ],
      async (repository) =>
        expect(await failureOf(read(repository, BLOB, 10))).toMatchObject({ code: 'SIZE_MISMATCH' }),
    );
  });

  test('verifies the empty blob', async () => {
    const empty = blobOf(new Uint8Array());
    await using(
      [{ request: `GET /v2/a/blobs/${empty.digest}`, answer: { status: 200 }, times: 2 }],
      async (repository) => {
        expect(await read(repository, empty)).toHaveLength(0);
        const wrong = { ...empty, digest: BLOB.digest };
        expect(await failureOf(read(repository, { ...wrong, digest: empty.digest }))).toBeUndefined();
      },
    );
  });

  test('verifies a sha512 digest', async () => {
    const digest = digestOf(BYTES, 'sha512');
    await using(
      [{ request: `GET /v2/a/blobs/${digest}`, answer: { status: 200, body: BYTES } }],
      async (repository) => {
        expect((await read(repository, { ...BLOB, digest })).equals(BYTES)).toBe(true);
      },
    );
  });

  test('follows a redirect to another host without the credential', async () => {
    await scripted(
      [{ request: 'GET /store?sig=1', headers: { authorization: undefined }, answer: { status: 200, body: BYTES } }],
      async (store) => {
        await using(
          [{ request: GET, answer: { status: 307, headers: { location: `${store.origin}/store?sig=1` } } }],
          async (repository) => {
            expect((await read(repository)).equals(BYTES)).toBe(true);
          },
        );
      },
    );
  });

  test.each([true, false])('frees the memory of chunks that were read: %s', async (freesChunks) => {
    await using([{ request: GET, answer: ranged(100_000), times: 2 }], async (repository) => {
      const chunks: Uint8Array[] = [];
      const copies: Buffer[] = [];
      for await (const chunk of await repository.openBlob(BLOB, { freesChunks })) {
        chunks.push(chunk);
        copies.push(Buffer.from(chunk));
      }
      expect(Buffer.concat(copies).equals(BYTES)).toBe(true);
      expect(chunks.some(({ length }) => length === 0)).toBe(freesChunks);
    });
  });

  test('ends when it is aborted', async () => {
    const reason = new Error('enough');
    const controller = new AbortController();
    await using(
      [
        {
          request: GET,
          answer: (_, response) => {
            response.writeHead(200, { 'content-length': BYTES.length });
            response.write(BYTES.subarray(0, 1000));
          },
        },
      ],
      async (repository) => {
        const body = await repository.openBlob(BLOB, { signal: controller.signal });
        const failure = failureOf(
          (async () => {
            for await (const _ of body) controller.abort(reason);
          })(),
        );
        expect(await failure).toBe(reason);
      },
    );
  });
});

describe('hasBlob', () => {
  test.each<[number, Record<string, string>, boolean | string]>([
    [200, { 'content-length': String(BYTES.length) }, true],
    [404, {}, false],
    [200, { 'content-length': '7' }, 'SIZE_MISMATCH'],
    // Some registries answer every HEAD like this.
    [200, { 'content-length': '0' }, true],
    [403, {}, 'DENIED'],
  ])('%d %j', async (status, headers, expected) => {
    // A GET follows a 403, because an answer to HEAD has no message.
    const why: Exchange[] = status === 403 ? [{ request: 'GET /v2/', answer: { status: 401 } }] : [];
    await using([{ request: HEAD, answer: { status, headers } }, ...why], async (repository) => {
      const outcome = await repository.hasBlob(BLOB).catch((error: unknown) => error);
      if (typeof expected === 'boolean') expect(outcome).toBe(expected);
      else expect(outcome).toMatchObject({ code: expected });
    });
  });
});
