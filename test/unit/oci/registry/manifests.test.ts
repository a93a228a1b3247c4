import { describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import {
  digestOf,
  OCI_IMAGE_INDEX,
  OCI_IMAGE_MANIFEST,
  type RegistryError,
  type RegistryRepository,
} from '../../../../src/oci/index.js';
import { failureOf, quickClient } from './clients.js';
import { scripted, type Answer, type Exchange } from './scripted-server.js';

const BYTES = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_IMAGE_INDEX, manifests: [] }));
const DIGEST = digestOf(BYTES);
const SHA512 = digestOf(BYTES, 'sha512');
const OTHER = digestOf(Buffer.from('other'));
const DESCRIPTOR = { mediaType: OCI_IMAGE_INDEX, digest: DIGEST, size: BYTES.length };

function served(headers: Record<string, string> = {}, body: Uint8Array = BYTES): Answer {
  return {
    status: 200,
    headers: { 'content-type': OCI_IMAGE_INDEX, 'docker-content-digest': DIGEST, ...headers },
    body,
  };
}

function without(name: string): Answer {
  const { [name]: _, ...headers } = served().headers as Record<string, string>;
  return { status: 200, headers, body: BYTES };
}

async function using(exchanges: Exchange[], run: (repository: RegistryRepository) => Promise<void>): Promise<void> {
  await scripted(exchanges, async (server) => {
    const client = quickClient();
    try {
      await run(client.repository(server.host, 'a/b'));
    } finally {
      await client.close();
    }
  });
}

test('only the media types of the caller are accepted', async () => {
  const headers = { accept: 'x/y, x/z' };
  await using(
    [
      { request: 'HEAD /v2/a/b/manifests/v1', headers, answer: served() },
      { request: `GET /v2/a/b/manifests/${DIGEST}`, headers, answer: served() },
    ],
    async (repository) => {
      const mediaTypes = ['x/y', 'x/z'];
      const { bytes } = await repository.fetchManifest(await repository.resolve('v1', { mediaTypes }), { mediaTypes });
      expect(Buffer.from(bytes)).toEqual(BYTES);
    },
  );
});

describe('resolving', () => {
  test('HEAD returns the descriptor', async () => {
    await using([{ request: 'HEAD /v2/a/b/manifests/v1', answer: served() }], async (repository) => {
      expect(await repository.resolve('v1')).toEqual(DESCRIPTOR);
    });
  });

  test.each<[string, Answer]>([
    ['the digest', without('docker-content-digest')],
    ['a type that says something', served({ 'content-type': 'application/octet-stream' })],
    ['a digest that is one', served({ 'docker-content-digest': 'sha256:xyz' })],
    [
      'the length',
      {
        status: 200,
        headers: { 'content-type': OCI_IMAGE_INDEX, 'docker-content-digest': DIGEST, 'content-length': '0' },
      },
    ],
    ['an answer', { status: 405 }],
  ])('GET, where HEAD lacks %s', async (_, head) => {
    await using(
      [
        { request: 'HEAD /v2/a/b/manifests/v1', answer: head },
        { request: 'GET /v2/a/b/manifests/v1', answer: served() },
      ],
      async (repository) => expect(await repository.resolve('v1')).toEqual(DESCRIPTOR),
    );
  });

  test('a digest answered with another digest is an error', async () => {
    await using([{ request: `HEAD /v2/a/b/manifests/${OTHER}`, answer: served() }], async (repository) => {
      expect(await failureOf(repository.resolve(OTHER))).toMatchObject({ code: 'DIGEST_MISMATCH' });
    });
  });

  test('a sha512 digest answered with sha256 is compared with the bytes', async () => {
    await using(
      [
        { request: `HEAD /v2/a/b/manifests/${SHA512}`, answer: served() },
        { request: `GET /v2/a/b/manifests/${SHA512}`, answer: served() },
      ],
      async (repository) => expect(await repository.resolve(SHA512)).toEqual({ ...DESCRIPTOR, digest: SHA512 }),
    );
  });

  test.each(['v1:x', '../x', '', 'sha256:abc', 'a b'])(
    'text that is neither a tag nor a digest is never sent: %j',
    async (target) => {
      await using([], async (repository) => {
        expect(await failureOf(repository.resolve(target))).toMatchObject({ code: 'REFERENCE_INVALID' });
      });
    },
  );
});

describe('fetching a manifest', () => {
  const GET_TAG = 'GET /v2/a/b/manifests/v1';
  const GET_DIGEST = `GET /v2/a/b/manifests/${DIGEST}`;

  test.each<[string, Answer]>([
    ['with all headers', served()],
    ['without a digest', without('docker-content-digest')],
    [
      'with a type in capitals and parameters',
      served({ 'content-type': `${OCI_IMAGE_INDEX.toUpperCase()}; charset=utf-8` }),
    ],
    ['with a type that says nothing: its own counts', served({ 'content-type': 'text/plain' })],
  ])('by tag, %s', async (_, answer) => {
    await using([{ request: GET_TAG, answer }], async (repository) => {
      const { descriptor, bytes } = await repository.fetchManifest('v1');
      expect(descriptor).toEqual(DESCRIPTOR);
      expect(Buffer.from(bytes)).toEqual(BYTES);
    });
  });

  test("the digest of a tag is computed from its bytes, with the registry's algorithm", async () => {
    await using([{ request: GET_TAG, answer: served({ 'docker-content-digest': SHA512 }) }], async (repository) => {
      const { descriptor } = await repository.fetchManifest('v1');
      expect(descriptor.digest).toBe(`sha512:${createHash('sha512').update(BYTES).digest('hex')}`);
    });
  });

  test.each<[string, Answer, string]>([
    ['other bytes under a digest', served({}, Buffer.from('{}')), 'DIGEST_MISMATCH'],
    ['a wrong digest header is ignored if the bytes match the digest', served({ 'docker-content-digest': OTHER }), ''],
  ])('by digest: %s', async (_, answer, code) => {
    await using([{ request: GET_DIGEST, answer }], async (repository) => {
      const error = await failureOf(repository.fetchManifest(DIGEST));
      if (code === '') expect(error).toBeUndefined();
      else expect(error).toMatchObject({ code });
    });
  });

  test('a digest header that does not match the bytes of a tag is an error', async () => {
    await using([{ request: GET_TAG, answer: served({ 'docker-content-digest': OTHER }) }], async (repository) => {
      expect(await failureOf(repository.fetchManifest('v1'))).toMatchObject({ code: 'DIGEST_MISMATCH' });
    });
  });

  test('a descriptor with another size is an error', async () => {
    await using([{ request: GET_DIGEST, answer: served(), times: 2 }], async (repository) => {
      expect((await repository.fetchManifest(DESCRIPTOR)).descriptor).toEqual(DESCRIPTOR);
      expect(await failureOf(repository.fetchManifest({ ...DESCRIPTOR, size: 3 }))).toMatchObject({
        code: 'SIZE_MISMATCH',
      });
      expect(await failureOf(repository.fetchManifest({ ...DESCRIPTOR, size: 5e6 }))).toMatchObject({
        code: 'TOO_LARGE',
      });
    });
  });

  test('an endless body is refused', async () => {
    let written = 0;
    await using(
      [
        {
          request: GET_TAG,
          answer: (_, response) => {
            response.writeHead(200, { 'content-type': OCI_IMAGE_INDEX });
            const more = (): void => {
              while (!response.destroyed && response.write(Buffer.alloc(64 * 1024))) written += 64 * 1024;
            };
            response.on('drain', more);
            more();
          },
        },
      ],
      async (repository) => {
        expect(await failureOf(repository.fetchManifest('v1'))).toMatchObject({ code: 'TOO_LARGE' });
        expect(written).toBeLessThan(32 * 1024 * 1024);
      },
    );
  });

  test('a request with an interrupted body is repeated', async () => {
    const broken: Exchange['answer'] = (_, response) => {
      response.writeHead(200, { 'content-length': BYTES.length, 'content-type': OCI_IMAGE_INDEX });
      response.write(BYTES.subarray(0, 10), () => response.destroy());
    };
    await using(
      [
        { request: GET_TAG, answer: broken, times: 2 },
        { request: GET_TAG, answer: served() },
      ],
      async (repository) => expect((await repository.fetchManifest('v1')).descriptor).toEqual(DESCRIPTOR),
    );
    await using([{ request: GET_TAG, answer: broken, times: 3 }], async (repository) => {
      expect(await failureOf(repository.fetchManifest('v1'))).toMatchObject({
        code: 'CONNECTION_CLOSED',
        transient: true,
      });
    });
  });

  test("a missing tag is named with its repository and the command that lists tags; the registry's codes are kept", async () => {
    const errors = [
      { code: 'MANIFEST_UNKNOWN', message: 'manifest\n unknown' },
      { code: 'X' },
      { code: 7 },
      'nonsense',
    ];
    await using([{ request: GET_TAG, answer: { status: 404, body: { errors } } }], async (repository) => {
      const error = await failureOf(repository.fetchManifest('v1'));
      expect(error).toMatchObject({
        code: 'MANIFEST_UNKNOWN',
        notFound: true,
        transient: false,
        info: { registryCodes: ['MANIFEST_UNKNOWN', 'X'] },
      });
      expect(String(error)).toMatch(/: tag v1 not found in [^ ]+\/a\/b$/);
      expect(error).toMatchObject({
        remedy: expect.stringMatching(
          /^List tags: acr-promoter repo tags [^ ]+\/a\/b \(repositories: acr-promoter repo ls [^ /]+\)$/,
        ),
      });
    });
  });
});

describe('a registry that asks to retry later', () => {
  const refused = { status: 429, headers: { 'retry-after': '60' } };

  test('than the client waits: the caller gets the time, and nothing more is sent', async () => {
    await using(
      [
        { request: 'GET /v2/a/b/manifests/v1', answer: refused },
        { request: `PUT /v2/a/b/manifests/${DIGEST}`, answer: { status: 201 } },
      ],
      async (repository) => {
        const later = { code: 'TOOMANYREQUESTS', transient: true };
        expect(await failureOf(repository.fetchManifest('v1'))).toMatchObject({
          ...later,
          info: { retryAfterMs: 60_000 },
        });
        const second = await failureOf(repository.fetchManifest('v2'));
        expect(second).toMatchObject(later);
        expect((second as RegistryError).info.retryAfterMs).toBeGreaterThan(55_000);
        // Writes have a limit of their own.
        await repository.pushManifest(BYTES, OCI_IMAGE_INDEX);
      },
    );
  });
});

describe('putting and deleting a manifest', () => {
  test.each<[string, string | undefined, string]>([
    ['under its digest', undefined, DIGEST],
    ['under a tag', 'v1', 'v1'],
  ])('asks for the manifest %s', async (_, tag, target) => {
    await using(
      [
        {
          request: `PUT /v2/a/b/manifests/${target}`,
          headers: { 'content-type': OCI_IMAGE_INDEX, 'content-length': String(BYTES.length) },
          answer: ({ body }) => ({ status: 201, headers: { 'docker-content-digest': digestOf(body) } }),
        },
      ],
      async (repository) => {
        expect(await repository.pushManifest(BYTES, OCI_IMAGE_INDEX, tag === undefined ? {} : { tag })).toEqual(
          DESCRIPTOR,
        );
      },
    );
  });

  test('a manifest that is stored with another digest is an error', async () => {
    await using(
      [{ request: 'PUT /v2/a/b/manifests/v1', answer: { status: 201, headers: { 'docker-content-digest': OTHER } } }],
      async (repository) => {
        expect(await failureOf(repository.pushManifest(BYTES, OCI_IMAGE_INDEX, { tag: 'v1' }))).toMatchObject({
          code: 'DIGEST_MISMATCH',
        });
      },
    );
  });

  describe('sha512 under a tag', () => {
    const PUT = 'PUT /v2/a/b/manifests/v1';
    const stored = (digest: string): Answer => ({ status: 201, headers: { 'docker-content-digest': digest } });
    const put = (repository: RegistryRepository): Promise<unknown> =>
      failureOf(repository.pushManifest(BYTES, OCI_IMAGE_INDEX, { tag: 'v1', digest: SHA512 }));

    test('is accepted if the tag resolves to its digest', async () => {
      await using([{ request: PUT, answer: stored(SHA512) }], async (repository) => {
        expect(await put(repository)).toBeUndefined();
      });
      await using(
        [
          { request: PUT, answer: { status: 201 } },
          { request: 'HEAD /v2/a/b/manifests/v1', answer: served({ 'docker-content-digest': SHA512 }) },
        ],
        async (repository) => {
          expect(await put(repository)).toBeUndefined();
        },
      );
    });

    test.each<[string, Answer]>([
      ['said by its answer', stored(DIGEST)],
      ['said by the tag', { status: 201 }],
    ])('stored under another digest, %s', async (_name, answer) => {
      await using(
        [
          { request: PUT, answer },
          { request: 'HEAD /v2/a/b/manifests/v1', answer: served() },
        ],
        async (repository) => {
          expect(await put(repository)).toMatchObject({ code: 'DIGEST_MISMATCH' });
        },
      );
    });
  });

  test("a manifest put by digest and answered with another content's digest is an error", async () => {
    const answer = { status: 201, headers: { 'docker-content-digest': OTHER } };
    await using([{ request: `PUT /v2/a/b/manifests/${SHA512}`, answer }], async (repository) => {
      expect(await failureOf(repository.pushManifest(BYTES, OCI_IMAGE_INDEX, { digest: SHA512 }))).toMatchObject({
        code: 'DIGEST_MISMATCH',
      });
    });
  });

  test('an oversized manifest or an invalid tag is never sent', async () => {
    await using([], async (repository) => {
      expect(await failureOf(repository.pushManifest(Buffer.alloc(5e6, 32), OCI_IMAGE_MANIFEST))).toMatchObject({
        code: 'TOO_LARGE',
      });
      expect(await failureOf(repository.pushManifest(BYTES, OCI_IMAGE_INDEX, { tag: 'a/b' }))).toMatchObject({
        code: 'REFERENCE_INVALID',
      });
    });
  });

  test('content of an unknown kind is put unchanged', async () => {
    const bytes = Buffer.from('not json');
    await using(
      [{ request: `PUT /v2/a/b/manifests/${digestOf(bytes)}`, answer: { status: 201 } }],
      async (repository) => {
        await repository.pushManifest(bytes, 'application/x-new');
      },
    );
  });

  test('a locked manifest is an error', async () => {
    await using(
      [
        { request: `GET /v2/a/b/manifests/${DIGEST}`, answer: served() },
        {
          request: `DELETE /v2/a/b/manifests/${DIGEST}`,
          answer: { status: 405, body: { errors: [{ code: 'REGISTRY_DISALLOWED_OPERATION' }] } },
        },
      ],
      async (repository) => {
        expect(await failureOf(repository.deleteManifest(DIGEST))).toMatchObject({
          code: 'REGISTRY_DISALLOWED_OPERATION',
        });
      },
    );
  });
});
