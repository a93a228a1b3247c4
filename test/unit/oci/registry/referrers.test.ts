import { describe, expect, test } from '@jest/globals';
import {
  digestOf,
  OCI_EMPTY,
  OCI_IMAGE_INDEX,
  OCI_IMAGE_MANIFEST,
  type Descriptor,
  type HeldLease,
  type Lease,
  type RegistriesOptions,
  type RegistryRepository,
} from '../../../../src/oci/index.js';
import { referrersTag, MOST_REFERRERS } from '../../../../src/oci/registry/referrers-index.js';
import { failureOf, quickClient } from './clients.js';
import { withFakeRegistry, type FakeOptions, type FakeRegistry } from './fake-registry.js';
import { scripted, type Exchange } from './scripted-server.js';

const EMPTY = { mediaType: OCI_EMPTY, digest: digestOf(Buffer.from('{}')), size: 2 };
const SUBJECT: Descriptor = { mediaType: OCI_IMAGE_MANIFEST, digest: digestOf(Buffer.from('subject')), size: 7 };
const TAG = referrersTag(SUBJECT.digest);

interface Made {
  bytes: Buffer;
  /** The entry for a manifest in a list of referrers. */
  entry: Descriptor;
}

function referrer(
  artifactType: string | undefined,
  configType = OCI_EMPTY,
  annotations?: Record<string, string>,
): Made {
  const config = { ...EMPTY, mediaType: configType };
  const more = {
    ...(artifactType !== undefined && { artifactType }),
    ...(annotations !== undefined && { annotations }),
  };
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_IMAGE_MANIFEST,
      ...more,
      config,
      layers: [EMPTY],
      subject: SUBJECT,
    }),
  );
  const descriptor = { mediaType: OCI_IMAGE_MANIFEST, digest: digestOf(bytes), size: bytes.length };
  return {
    bytes,
    entry: {
      ...descriptor,
      artifactType: artifactType ?? configType,
      ...(annotations !== undefined && { annotations }),
    },
  };
}

const SBOM = referrer('application/spdx+json', OCI_EMPTY, { a: 'b' });
const SIGNATURE = referrer(undefined, 'application/vnd.cncf.notary.signature');

function index(...entries: unknown[]): object {
  return { schemaVersion: 2, mediaType: OCI_IMAGE_INDEX, manifests: entries };
}

const API = `GET /v2/a/referrers/${SUBJECT.digest}`;
const TAGGED = `GET /v2/a/manifests/${TAG}`;
const type = { 'content-type': OCI_IMAGE_INDEX };
const NO_TAG: Exchange = { request: TAGGED, answer: { status: 404 } };

async function using(
  exchanges: Exchange[],
  run: (repository: RegistryRepository, host: string) => Promise<void>,
  options: Partial<RegistriesOptions> = {},
): Promise<void> {
  await scripted(exchanges, async (server) => {
    const client = quickClient(options);
    try {
      await run(client.repository(server.host, 'a'), server.host);
    } finally {
      await client.close();
    }
  });
}

describe('listing referrers', () => {
  test('reads the API page by page and the referrers tag', async () => {
    const extra = referrer('application/x-tagged').entry;
    await using(
      [
        {
          request: API,
          headers: { accept: OCI_IMAGE_INDEX },
          answer: {
            status: 200,
            headers: { ...type, link: `</v2/a/referrers/${SUBJECT.digest}?page=2>; rel="next"` },
            body: index(SBOM.entry),
          },
        },
        { request: `${API}?page=2`, answer: { status: 200, headers: type, body: index(SIGNATURE.entry) } },
        { request: TAGGED, answer: { status: 200, headers: type, body: index(SBOM.entry, extra) } },
      ],
      async (repository) => {
        expect(await repository.listReferrers(SUBJECT.digest)).toEqual([SBOM.entry, SIGNATURE.entry, extra]);
      },
    );
  });

  test.each<[string, Record<string, string>]>([
    ['applied by the registry', { 'oci-filters-applied': 'artifactType' }],
    ['left to us', {}],
  ])('with a filter that is %s', async (name, headers) => {
    const listed = name.startsWith('applied') ? [SBOM.entry] : [SBOM.entry, SIGNATURE.entry];
    await using(
      [
        {
          request: `${API}?artifactType=application%2Fspdx%2Bjson`,
          answer: { status: 200, headers: { ...type, ...headers }, body: index(...listed) },
        },
        { request: TAGGED, answer: { status: 200, headers: type, body: index(SIGNATURE.entry) } },
      ],
      async (repository) => {
        expect(await repository.listReferrers(SUBJECT.digest, { artifactType: 'application/spdx+json' })).toEqual([
          SBOM.entry,
        ]);
      },
    );
  });

  test('finds a missing artifact type in the manifest', async () => {
    const { artifactType: _, ...bare } = SIGNATURE.entry;
    const gone = { ...bare, digest: digestOf(Buffer.from('gone')) };
    await using(
      [
        { request: API, answer: { status: 200, headers: type, body: index(bare, gone) } },
        NO_TAG,
        {
          request: `GET /v2/a/manifests/${bare.digest}`,
          answer: { status: 200, headers: { 'content-type': OCI_IMAGE_MANIFEST }, body: SIGNATURE.bytes },
        },
        { request: `GET /v2/a/manifests/${gone.digest}`, answer: { status: 404 } },
      ],
      async (repository) => expect(await repository.listReferrers(SUBJECT.digest)).toEqual([SIGNATURE.entry, gone]),
    );
  });

  test('does not look up missing types with artifactTypes: false', async () => {
    const { artifactType: _, ...bare } = SIGNATURE.entry;
    await using(
      [{ request: API, answer: { status: 200, headers: type, body: index(bare) } }, NO_TAG],
      async (repository) =>
        expect(await repository.listReferrers(SUBJECT.digest, { artifactTypes: false })).toEqual([bare]),
    );
  });

  test('returns entries without a type for every artifactType if types are not looked up', async () => {
    const { artifactType: _, ...bare } = SIGNATURE.entry;
    const { artifactType } = SBOM.entry;
    await using(
      [
        {
          request: `${API}?artifactType=${encodeURIComponent(artifactType ?? '')}`,
          answer: {
            status: 200,
            headers: type,
            body: index(bare, SBOM.entry, { ...SIGNATURE.entry, digest: digestOf(Buffer.from('other')) }),
          },
        },
        NO_TAG,
      ],
      async (repository) =>
        expect(
          await repository.listReferrers(SUBJECT.digest, { artifactTypes: false, artifactType: artifactType ?? '' }),
        ).toEqual([bare, SBOM.entry]),
    );
  });

  test.each<[string, Exchange['answer']]>([
    ['404', { status: 404 }],
    ['a page of another kind', { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>' }],
  ])('no API: %s; it is not asked for again', async (_, answer) => {
    await using(
      [
        { request: API, answer },
        { request: TAGGED, answer: { status: 200, headers: type, body: index(SBOM.entry) }, times: 2 },
      ],
      async (repository) => {
        expect(await repository.listReferrers(SUBJECT.digest)).toEqual([SBOM.entry]);
        expect(await repository.listReferrers(SUBJECT.digest)).toEqual([SBOM.entry]);
      },
    );
  });

  test.each<[string, Exchange['answer']]>([
    ['said so', { status: 404, body: { errors: [{ code: 'NAME_UNKNOWN' }] } }],
    ['unsaid', { status: 404 }],
  ])('a repository that is not there (%s) has none, and says nothing of the API', async (_, answer) => {
    await using(
      [
        { request: API, answer, times: 2 },
        { ...NO_TAG, times: 2 },
      ],
      async (repository) => {
        expect(await repository.listReferrers(SUBJECT.digest)).toEqual([]);
        expect(await repository.listReferrers(SUBJECT.digest)).toEqual([]);
      },
    );
  });

  test.each<[string, Exchange['answer']]>([
    [
      'an image',
      {
        status: 200,
        headers: { 'content-type': OCI_IMAGE_MANIFEST },
        body: { schemaVersion: 2, config: EMPTY, layers: [] },
      },
    ],
    ['nothing readable', { status: 200, headers: type, body: 'nonsense' }],
  ])('%s under the tag is no index', async (_, answer) => {
    await using(
      [
        { request: API, answer: { status: 404 } },
        { request: TAGGED, answer },
      ],
      async (repository) => {
        expect(await repository.listReferrers(SUBJECT.digest)).toEqual([]);
      },
    );
  });

  test('skips a malformed entry in the index of a referrers tag', async () => {
    await using(
      [
        { request: API, answer: { status: 404 } },
        { request: TAGGED, answer: { status: 200, headers: type, body: index({ digest: 'x' }, SBOM.entry) } },
      ],
      async (repository) => {
        expect(await repository.listReferrers(SUBJECT.digest)).toMatchObject([{ digest: SBOM.entry.digest }]);
      },
    );
  });

  test('accepts a page that is larger than a manifest', async () => {
    const entries = Array.from({ length: 8 }, (_, number) => ({
      ...SBOM.entry,
      digest: digestOf(Buffer.from(`${number}`)),
      annotations: { text: 'x'.repeat(1024 * 1024) },
    }));
    await using(
      [
        { request: API, answer: { status: 200, headers: type, body: index(...entries) } },
        { request: TAGGED, answer: { status: 404 } },
      ],
      async (repository) => expect(await repository.listReferrers(SUBJECT.digest)).toHaveLength(8),
    );
  });

  test('fails if all pages exceed the limit of bytes', async () => {
    const entry = { ...SBOM.entry, annotations: { text: 'x'.repeat(24 * 1024 * 1024) } };
    const page = (next: number): Exchange => ({
      request: `GET /v2/a/referrers/${SUBJECT.digest}${next === 1 ? '' : `?n=${next - 1}`}`,
      answer: {
        status: 200,
        headers: { ...type, link: `</v2/a/referrers/${SUBJECT.digest}?n=${next}>; rel="next"` },
        body: index(entry),
      },
    });
    await using([{ request: TAGGED, answer: { status: 404 } }, page(1), page(2), page(3)], async (repository) => {
      expect(await failureOf(repository.listReferrers(SUBJECT.digest))).toMatchObject({ code: 'GRAPH_TOO_WIDE' });
    });
  });

  test('counts repeated entries in the index of a referrers tag once', async () => {
    const many = index(...Array.from({ length: MOST_REFERRERS + 1 }, () => SBOM.entry));
    await using(
      [
        { request: API, answer: { status: 404 } },
        { request: TAGGED, answer: { status: 200, headers: type, body: many } },
      ],
      async (repository) => expect(await repository.listReferrers(SUBJECT.digest)).toHaveLength(1),
    );
  });

  test('ignores a referrers tag that resolves to the subject itself', async () => {
    const bytes = Buffer.from(JSON.stringify(index(SBOM.entry)));
    const digest = digestOf(bytes);
    await using(
      [
        { request: `GET /v2/a/referrers/${digest}`, answer: { status: 404 } },
        { request: `GET /v2/a/manifests/${referrersTag(digest)}`, answer: { status: 200, headers: type, body: bytes } },
      ],
      async (repository) => expect(await repository.listReferrers(digest)).toEqual([]),
    );
  });

  test.each<[string, Exchange['answer'], string]>([
    [
      'a malformed entry is not passed over in silence',
      { status: 200, headers: type, body: index({ digest: 'sha384:00', size: 1, mediaType: 'a/b' }) },
      'DESCRIPTOR_INVALID',
    ],
    ['refused', { status: 403 }, 'DENIED'],
    [
      'a page that leads to itself',
      { status: 200, headers: { ...type, link: `<?>; rel="next"` }, body: index() },
      'TOO_MANY_PAGES',
    ],
    [
      'a page that leads elsewhere',
      { status: 200, headers: { ...type, link: '<https://evil.invalid/>; rel="next"' }, body: index() },
      'REGISTRY_NOT_ALLOWED',
    ],
  ])('%s', async (_, answer, code) => {
    await scripted(
      [
        { ...NO_TAG, maybe: true },
        { request: API, answer },
        { request: API, answer, maybe: true },
      ],
      async (server) => {
        const client = quickClient({ allowedRegistries: [server.host] });
        expect(await failureOf(client.repository(server.host, 'a').listReferrers(SUBJECT.digest))).toMatchObject({
          code,
        });
        await client.close();
      },
    );
  });

  test('reads only the forced source', async () => {
    await using(
      [{ request: API, answer: { status: 200, headers: type, body: index(SBOM.entry) } }],
      async (repository) => {
        expect(await repository.listReferrers(SUBJECT.digest)).toEqual([SBOM.entry]);
      },
      { referrers: 'api' },
    );
    await using(
      [{ request: TAGGED, answer: { status: 200, headers: type, body: index(SBOM.entry) } }],
      async (repository) => {
        expect(await repository.listReferrers(SUBJECT.digest)).toEqual([SBOM.entry]);
      },
      { referrers: 'tag' },
    );
  });
});

describe('forced to the API', () => {
  test.each<[string, Exchange['answer']]>([
    ['404', { status: 404 }],
    ['an answer that is no index', { status: 200, body: { hello: 'world' } }],
    ['an index without a list', { status: 200, headers: type, body: { hello: 'world' } }],
    [
      'a list that is called JSON',
      { status: 200, headers: { 'content-type': 'application/json' }, body: index(SBOM.entry) },
    ],
    ['a list that is called nothing', { status: 200, body: index(SBOM.entry) }],
  ])('a registry without it is an error, not an empty list: %s', async (_, answer) => {
    await using(
      [{ request: API, answer }],
      async (repository) => {
        expect(await failureOf(repository.listReferrers(SUBJECT.digest))).toMatchObject({
          code: 'REFERRERS_API_UNSUPPORTED',
          transient: false,
          remedy: expect.stringContaining('v1.1-referrers-tag'),
        });
      },
      { referrers: 'api' },
    );
  });

  test('a missing repository has no referrers', async () => {
    await using(
      [{ request: API, answer: { status: 404, body: { errors: [{ code: 'NAME_UNKNOWN' }] } } }],
      async (repository) => expect(await repository.listReferrers(SUBJECT.digest)).toEqual([]),
      { referrers: 'api' },
    );
  });
});

describe('putting a referrer', () => {
  const put = (made: Made, headers: Record<string, string> = {}): Exchange => ({
    request: `PUT /v2/a/manifests/${made.entry.digest}`,
    answer: { status: 201, headers },
  });
  const noted = { 'oci-subject': SUBJECT.digest };
  const putTag = (...entries: Descriptor[]): Exchange => ({
    request: `PUT /v2/a/manifests/${TAG}`,
    headers: type,
    answer: ({ body }) => {
      expect(JSON.parse(body.toString())).toEqual(index(...entries));
      return { status: 201 };
    },
  });
  const tagHolds = (...entries: Descriptor[]): Exchange => ({
    request: TAGGED,
    answer: { status: 200, headers: type, body: index(...entries) },
  });
  const push = (repository: RegistryRepository, made: Made): Promise<Descriptor> =>
    repository.pushManifest(made.bytes, OCI_IMAGE_MANIFEST);

  test('that the registry has recorded writes no index and asks the API once', async () => {
    await using(
      [
        put(SBOM, noted),
        { request: API, answer: { status: 200, headers: type, body: index() } },
        put(SIGNATURE, noted),
      ],
      async (repository) => {
        await push(repository, SBOM);
        await push(repository, SIGNATURE);
      },
    );
  });

  test('that the registry has recorded without having the API (ECR) writes the index', async () => {
    await using(
      [put(SBOM, noted), { request: API, answer: { status: 404 } }, NO_TAG, putTag(SBOM.entry), tagHolds(SBOM.entry)],
      async (repository) => void (await push(repository, SBOM)),
    );
  });

  test('that is not recorded but listed by the API writes no index', async () => {
    await using(
      [put(SBOM), { request: API, answer: { status: 200, headers: type, body: index(SBOM.entry) } }],
      async (repository) => void (await push(repository, SBOM)),
    );
  });

  test('that is neither recorded nor listed writes the index', async () => {
    await using(
      [
        put(SBOM),
        { request: API, answer: { status: 200, headers: type, body: index() } },
        NO_TAG,
        putTag(SBOM.entry),
        tagHolds(SBOM.entry),
      ],
      async (repository) => void (await push(repository, SBOM)),
    );
  });

  test('is added to the index and keeps its other content', async () => {
    const foreign = { ...SBOM.entry, 'x-unknown': true } as Descriptor;
    await using(
      [put(SIGNATURE), tagHolds(foreign), putTag(foreign, SIGNATURE.entry), tagHolds(foreign, SIGNATURE.entry)],
      async (repository) => void (await push(repository, SIGNATURE)),
      { referrers: 'tag' },
    );
  });

  test('twice adds one entry', async () => {
    await using([put(SBOM), tagHolds(SBOM.entry)], async (repository) => void (await push(repository, SBOM)), {
      referrers: 'tag',
    });
  });

  test('replaces a wrong entry, which would hide it from clients that filter by type', async () => {
    const lie = { ...SBOM.entry, artifactType: 'text/x-lie' };
    await using(
      [
        put(SBOM),
        tagHolds(lie, SIGNATURE.entry, SBOM.entry),
        putTag(SIGNATURE.entry, SBOM.entry),
        tagHolds(SIGNATURE.entry, SBOM.entry),
      ],
      async (repository) => void (await push(repository, SBOM)),
      { referrers: 'tag' },
    );
  });

  test('an index entry without an artifact type stays in the index', async () => {
    const { artifactType: _type, ...short } = SBOM.entry;
    await using([put(SBOM), tagHolds(short)], async (repository) => void (await push(repository, SBOM)), {
      referrers: 'tag',
    });
  });

  test('writes the index again after another writer has replaced it', async () => {
    await using(
      [
        put(SBOM),
        NO_TAG,
        putTag(SBOM.entry),
        tagHolds(SIGNATURE.entry),
        tagHolds(SIGNATURE.entry),
        putTag(SIGNATURE.entry, SBOM.entry),
        tagHolds(SIGNATURE.entry, SBOM.entry),
      ],
      async (repository) => void (await push(repository, SBOM)),
      { referrers: 'tag' },
    );
  });

  test('sends the ETag and reads the index again after 412', async () => {
    const tagged = (etag: string, ...entries: Descriptor[]): Exchange => ({
      request: TAGGED,
      answer: { status: 200, headers: { ...type, etag }, body: index(...entries) },
    });
    await using(
      [
        put(SBOM),
        tagged('"1"', SIGNATURE.entry),
        { ...putTag(), headers: { 'if-match': '"1"' }, answer: { status: 412 } },
        tagged('"2"'),
        { ...putTag(SBOM.entry), headers: { 'if-match': '"2"' } },
        tagged('"3"', SBOM.entry),
      ],
      async (repository) => void (await push(repository, SBOM)),
      { referrers: 'tag' },
    );
  });

  test('never overwrites other content under the tag', async () => {
    await using(
      [
        put(SBOM),
        { request: TAGGED, answer: { status: 200, headers: { 'content-type': OCI_IMAGE_MANIFEST }, body: SBOM.bytes } },
      ],
      async (repository) =>
        expect(await failureOf(push(repository, SBOM))).toMatchObject({ code: 'REFERRERS_TAG_TAKEN' }),
      { referrers: 'tag' },
    );
  });

  test('fails if the index is always overwritten', async () => {
    await withFakeRegistry(
      {
        intercept: (request, response) => {
          if (request.method !== 'PUT' || !(request.url ?? '').endsWith(TAG)) return false;
          response.writeHead(201).end();
          return true;
        },
      },
      async ({ host }) => {
        const client = quickClient({ referrers: 'tag' });
        const failure = await failureOf(push(client.repository(host, 'a'), SBOM));
        expect(failure).toMatchObject({ code: 'REFERRERS_INDEX_CONTENDED', transient: true });
        await client.close();
      },
    );
  });

  test('sends no further request if the API is forced', async () => {
    await using([put(SBOM)], async (repository) => void (await push(repository, SBOM)), { referrers: 'api' });
  });
});

describe('deleting a referrer', () => {
  const [first, second] = [referrer('application/x-1'), referrer('application/x-2')];

  async function withIndexOf(
    made: Made[],
    options: FakeOptions,
    run: (repository: RegistryRepository, registry: FakeRegistry) => Promise<void>,
  ): Promise<void> {
    await withFakeRegistry(options, async (registry) => {
      const client = quickClient();
      const repository = client.repository(registry.host, 'a');
      for (const { bytes } of made) await repository.pushManifest(bytes, OCI_IMAGE_MANIFEST);
      await run(repository, registry);
      await client.close();
    });
  }

  test('removes its entry from the index, and the index with the last entry', async () => {
    await withIndexOf([first, second], {}, async (repository, { manifests }) => {
      await repository.deleteManifest(first.entry.digest);
      expect(await repository.listReferrers(SUBJECT.digest)).toEqual([second.entry]);
      await repository.deleteManifest(second.entry.digest);
      expect(await repository.listReferrers(SUBJECT.digest)).toEqual([]);
      expect(manifests.has(TAG)).toBe(false);
    });
  });

  test('keeps an empty index if indexes cannot be deleted', async () => {
    let guarded = '';
    const intercept: FakeOptions['intercept'] = (request, response) => {
      if (request.method !== 'DELETE' || !(request.url ?? '').endsWith(guarded)) return false;
      response.writeHead(405).end();
      return true;
    };
    await withIndexOf([first], { intercept }, async (repository, { manifests }) => {
      guarded = digestOf(manifests.get(TAG)?.bytes ?? Buffer.from(''));
      await repository.deleteManifest(first.entry.digest);
      expect(JSON.parse(manifests.get(TAG)?.bytes.toString() ?? '')).toEqual(index());
    });
  });

  test('restores its entry if the manifest cannot be deleted', async () => {
    const intercept: FakeOptions['intercept'] = (request, response) => {
      if (request.method !== 'DELETE' || !(request.url ?? '').endsWith(first.entry.digest)) return false;
      response.writeHead(403).end();
      return true;
    };
    await withIndexOf([first, second], { intercept }, async (repository) => {
      expect(await failureOf(repository.deleteManifest(first.entry.digest))).toMatchObject({ code: 'DENIED' });
      expect(await repository.listReferrers(SUBJECT.digest)).toEqual([second.entry, first.entry]);
    });
  });
});

describe('many writers of one index', () => {
  const made = Array.from({ length: 24 }, (_, number) => referrer(`application/x-${number}`));

  /** A lease shared by clients of this process. */
  function sharedLease(): Lease & { acquired: string[] } {
    const acquired: string[] = [];
    let last: Promise<void> = Promise.resolve();
    return {
      acquired,
      acquire: async (name) => {
        const before = last;
        let free = (): void => {};
        last = new Promise((resolve) => {
          free = resolve;
        });
        await before;
        acquired.push(name);
        return {
          signal: new AbortController().signal,
          heldUntilMs: Date.now() + 30_000,
          release: () => {
            free();
            return Promise.resolve();
          },
        };
      },
    };
  }

  test('in one process write the index only a few times', async () => {
    await withFakeRegistry({}, async ({ host, seen }) => {
      const client = quickClient({ referrers: 'tag' });
      const repository = client.repository(host, 'a');
      await Promise.all(made.map(({ bytes }) => repository.pushManifest(bytes, OCI_IMAGE_MANIFEST)));
      const listed = await repository.listReferrers(SUBJECT.digest);
      expect(new Set(listed.map(({ digest }) => digest))).toEqual(new Set(made.map(({ entry }) => entry.digest)));
      expect(seen.filter((request) => request === `PUT /v2/a/manifests/${TAG}`).length).toBeLessThan(made.length / 2);
      await client.close();
    });
  });

  test('in several processes lose no entry under one lease', async () => {
    const lease = sharedLease();
    await withFakeRegistry(
      { beforePut: () => new Promise((resolve) => setTimeout(resolve, Math.random() * 5)) },
      async ({ host }) => {
        const clients = Array.from({ length: 4 }, () => quickClient({ referrers: 'tag', lease }));
        await Promise.all(
          made.map(({ bytes }, number) =>
            clients[number % 4]?.repository(host, 'a').pushManifest(bytes, OCI_IMAGE_MANIFEST),
          ),
        );
        const listed = await clients[0]?.repository(host, 'a').listReferrers(SUBJECT.digest);
        expect(listed).toHaveLength(made.length);
        expect(new Set(lease.acquired)).toEqual(new Set([`referrers ${host}/a@${SUBJECT.digest}`]));
        await Promise.all(clients.map((client) => client.close()));
      },
    );
  });

  test('in several processes lose no entry with If-Match', async () => {
    await withFakeRegistry({ ifMatch: true }, async ({ host, manifests }) => {
      const clients = Array.from({ length: 3 }, () => quickClient({ referrers: 'tag' }));
      // The first write has no ETag to send.
      await clients[0]?.repository(host, 'a').pushManifest(SBOM.bytes, OCI_IMAGE_MANIFEST);
      await Promise.all(
        made
          .slice(0, 9)
          .map(({ bytes }, number) =>
            clients[number % 3]?.repository(host, 'a').pushManifest(bytes, OCI_IMAGE_MANIFEST),
          ),
      );
      expect(JSON.parse(manifests.get(TAG)?.bytes.toString() ?? '{}').manifests).toHaveLength(10);
      await Promise.all(clients.map((client) => client.close()));
    });
  });

  test.each<[string, () => Promise<HeldLease | undefined>]>([
    ['held by another', () => Promise.resolve(undefined)],
    [
      'lost',
      () =>
        Promise.resolve({
          signal: AbortSignal.abort(),
          heldUntilMs: Date.now() + 30_000,
          release: () => Promise.resolve(),
        }),
    ],
    [
      'about to end',
      () => Promise.resolve({ signal: new AbortController().signal, heldUntilMs: 0, release: () => Promise.resolve() }),
    ],
  ])('a lease that is %s: nothing is written', async (_, acquire) => {
    await withFakeRegistry({}, async ({ host, seen }) => {
      const client = quickClient({ referrers: 'tag', lease: { acquire } });
      const failure = failureOf(client.repository(host, 'a').pushManifest(SBOM.bytes, OCI_IMAGE_MANIFEST));
      expect(await failure).toMatchObject({ code: 'REFERRERS_INDEX_BUSY', transient: true });
      expect(seen).not.toContain(`PUT /v2/a/manifests/${TAG}`);
      await client.close();
    });
  });
});

test('referrersTag returns the tag of a digest', () => {
  expect(referrersTag(`sha256:${'a'.repeat(64)}`)).toBe(`sha256-${'a'.repeat(64)}`);
  expect(referrersTag(`sha512:${'b'.repeat(128)}`)).toBe(`sha512-${'b'.repeat(64)}`);
});
