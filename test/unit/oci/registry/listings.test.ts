import { describe, expect, test } from '@jest/globals';
import { InputError, type RegistryClient } from '../../../../src/oci/index.js';
import { failureOf, quickClient } from './clients.js';
import { scripted, type Answer, type Exchange } from './scripted-server.js';

async function using(
  exchanges: Exchange[],
  run: (client: RegistryClient, host: string) => Promise<void>,
): Promise<void> {
  await scripted(exchanges, async (server) => {
    const client = quickClient();
    try {
      await run(client, server.host);
    } finally {
      await client.close();
    }
  });
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const result: T[] = [];
  for await (const item of items) result.push(item);
  return result;
}

const digest = (letter: string): `sha256:${string}` => `sha256:${letter.repeat(64)}`;
const TAGS = 'GET /v2/a/b/tags/list?n=1000';

describe('tags', () => {
  test('are listed page by page on demand', async () => {
    await using(
      [
        {
          request: TAGS,
          answer: {
            status: 200,
            headers: { link: '</v2/a/b/tags/list?n=1000&last=v2>; rel="next"' },
            body: { name: 'a/b', tags: ['v1', 'v2'] },
          },
        },
        {
          request: `${TAGS}&last=v2`,
          answer: {
            status: 200,
            headers: { link: '</v2/a/b/tags/list?n=1000&last=v3>; rel="next"' },
            body: { tags: ['v3'] },
          },
        },
      ],
      async (client, host) => {
        const seen: string[] = [];
        for await (const tag of client.repository(host, 'a/b').listTags()) {
          seen.push(tag);
          if (tag === 'v3') break;
        }
        expect(seen).toEqual(['v1', 'v2', 'v3']);
      },
    );
  });

  test('are listed after a given tag', async () => {
    await using(
      [{ request: `${TAGS}&last=v1`, answer: { status: 200, body: { tags: null } } }],
      async (client, host) => {
        expect(await all(client.repository(host, 'a/b').listTags({ last: 'v1' }))).toEqual([]);
      },
    );
  });

  test('pages that link to each other are an error', async () => {
    const page = (last: string): Answer => ({
      status: 200,
      headers: { link: `</v2/a/b/tags/list?last=${last}>; rel="next"` },
      body: { tags: ['t'] },
    });
    await scripted(
      [
        { request: TAGS, answer: page('A') },
        { request: 'GET /v2/a/b/tags/list?last=A', answer: page('B') },
        { request: 'GET /v2/a/b/tags/list?last=B', answer: page('A') },
      ],
      async ({ host }) => {
        const client = quickClient();
        expect(await failureOf(all(client.repository(host, 'a/b').listTags()))).toMatchObject({
          code: 'TOO_MANY_PAGES',
        });
        await client.close();
      },
    );
  });

  test.each<[string, Answer, string]>([
    ['an unknown repository', { status: 404 }, 'NAME_UNKNOWN'],
    ['no list', { status: 200, body: {} }, 'ANSWER_INVALID'],
    ['no JSON', { status: 200, body: '<html>' }, 'ANSWER_INVALID'],
    [
      'a page that leads to itself',
      { status: 200, headers: { link: `<${TAGS.slice(4)}>; rel=next` }, body: { tags: [] } },
      'TOO_MANY_PAGES',
    ],
    ['a page without end', { status: 200, body: Buffer.alloc(5 * 1024 * 1024, 32) }, 'TOO_LARGE'],
  ])('%s', async (_, answer, code) => {
    await using([{ request: TAGS, answer }], async (client, host) => {
      expect(await failureOf(all(client.repository(host, 'a/b').listTags()))).toMatchObject({ code });
    });
  });
});

describe('tags with digests', () => {
  const DETAILS = 'GET /acr/v1/a/b/_tags?n=100';
  const HEAD = (tag: string): string => `HEAD /v2/a/b/manifests/${tag}`;
  const found = (letter: string): Answer => ({
    status: 200,
    headers: {
      'docker-content-digest': digest(letter),
      'content-type': 'application/vnd.oci.image.index.v1+json',
      'content-length': '9',
    },
  });

  test("are listed with ACR's _tags", async () => {
    const tag = (name: string, letter: string): object => ({
      name,
      digest: digest(letter),
      createdTime: '2026-01-01T00:00:00.0000000Z',
      lastUpdateTime: '2026-01-02T00:00:00.0000000Z',
      signed: false,
      changeableAttributes: {
        deleteEnabled: true,
        writeEnabled: name !== 'locked',
        readEnabled: true,
        listEnabled: true,
      },
    });
    await using(
      [
        {
          request: DETAILS,
          answer: {
            status: 200,
            headers: { link: '</acr/v1/a/b/_tags?last=v1&n=100&orderby=>; rel="next"' },
            body: { tags: [tag('v1', 'a'), { name: 'odd' }] },
          },
        },
        {
          request: 'GET /acr/v1/a/b/_tags?last=v1&n=100&orderby=',
          answer: { status: 200, body: { tags: [tag('locked', 'b')] } },
        },
      ],
      async (client, host) => {
        expect(await all(client.repository(host, 'a/b').listTagDetails())).toEqual([
          {
            name: 'v1',
            digest: digest('a'),
            createdAt: '2026-01-01T00:00:00.0000000Z',
            updatedAt: '2026-01-02T00:00:00.0000000Z',
            writable: true,
          },
          {
            name: 'locked',
            digest: digest('b'),
            createdAt: '2026-01-01T00:00:00.0000000Z',
            updatedAt: '2026-01-02T00:00:00.0000000Z',
            writable: false,
          },
        ]);
      },
    );
  });

  test('are resolved with HEAD if the registry lacks _tags; a deleted tag is left out', async () => {
    await using(
      [
        { request: DETAILS, answer: { status: 404 } },
        { request: TAGS, answer: { status: 200, body: { tags: ['v1', 'gone', 'v2'] } }, times: 2 },
        { request: HEAD('v1'), answer: found('a'), times: 2 },
        { request: HEAD('gone'), answer: { status: 404 }, times: 2 },
        { request: HEAD('v2'), answer: found('b'), times: 2 },
      ],
      async (client, host) => {
        const expected = [
          { name: 'v1', digest: digest('a') },
          { name: 'v2', digest: digest('b') },
        ];
        expect(await all(client.repository(host, 'a/b').listTagDetails())).toEqual(expected);
        expect(await all(client.repository(host, 'a/b').listTagDetails())).toEqual(expected);
      },
    );
  });

  test('are resolved with HEAD if the identity may not use _tags', async () => {
    await scripted([], async (server) => {
      const challenge = { status: 401, headers: { 'www-authenticate': `Bearer realm="${server.origin}/token"` } };
      server.script(
        { request: DETAILS, answer: challenge },
        { request: 'GET /token?scope=repository%3Aa%2Fb%3Ametadata_read', answer: { status: 401 } },
        { request: 'GET /token?scope=repository%3Aa%2Fb%3Apull', answer: { status: 200, body: { token: 't' } } },
        { request: TAGS, headers: { authorization: 'Bearer t' }, answer: { status: 200, body: { tags: ['v1'] } } },
        { request: HEAD('v1'), answer: found('a') },
      );
      const client = quickClient();
      expect(await all(client.repository(server.host, 'a/b').listTagDetails())).toEqual([
        { name: 'v1', digest: digest('a') },
      ]);
      await client.close();
    });
  });

  test('an unknown repository is an error', async () => {
    const unknown = { status: 404, body: { errors: [{ code: 'NAME_UNKNOWN' }] } };
    await using(
      [
        { request: DETAILS, answer: unknown },
        { request: TAGS, answer: unknown },
      ],
      async (client, host) => {
        expect(await failureOf(all(client.repository(host, 'a/b').listTagDetails()))).toMatchObject({
          code: 'NAME_UNKNOWN',
          message: `repository a/b not found in ${host}`,
          remedy: `List repositories: acr-promoter repo ls ${host}`,
        });
      },
    );
  });
});

describe("ACR's lists by the time of the last change", () => {
  const NEWEST = {
    tags: 'GET /acr/v1/a/b/_tags?n=100&orderby=timedesc',
    manifests: 'GET /acr/v1/a/b/_manifests?n=100&orderby=timedesc',
  };
  const time = '2026-01-02T00:00:00.1234567Z';
  const next = (path: string): Record<string, string> => ({ link: `<${path}>; rel="next"` });

  test('tags are listed page by page, and a page is requested only if the caller continues', async () => {
    const second = '/acr/v1/a/b/_tags?last=v1&n=100&orderby=timedesc';
    const first = {
      request: NEWEST.tags,
      answer: {
        status: 200,
        headers: next(second),
        body: { tags: [{ name: 'v1', digest: digest('a'), lastUpdateTime: time }, { name: 'odd' }] },
      },
    };
    await using([first], async (client, host) => {
      for await (const page of client.repository(host, 'a/b').listNewestTags()) {
        expect(page).toEqual([{ name: 'v1', digest: digest('a'), updatedAt: time }]);
        break;
      }
    });
    await using(
      [first, { request: `GET ${second}`, answer: { status: 200, body: { tags: [] } } }],
      async (client, host) => {
        expect(await all(client.repository(host, 'a/b').listNewestTags())).toHaveLength(2);
      },
    );
  });

  test('manifests have media types and tags, and include untagged ones', async () => {
    const manifests = [
      {
        digest: digest('a'),
        imageSize: 5,
        lastUpdateTime: time,
        mediaType: 'm',
        configMediaType: 'c',
        tags: ['v1', 'v2'],
      },
      { digest: digest('b'), lastUpdateTime: time },
      { digest: 'odd' },
    ];
    await using([{ request: NEWEST.manifests, answer: { status: 200, body: { manifests } } }], async (client, host) => {
      expect(await all(client.repository(host, 'a/b').listNewestManifests())).toEqual([
        [
          { digest: digest('a'), updatedAt: time, mediaType: 'm', configMediaType: 'c', tags: ['v1', 'v2'] },
          { digest: digest('b'), updatedAt: time, tags: [] },
        ],
      ]);
    });
  });

  test('an entry without a time is an error', async () => {
    const tags = [{ name: 'v1', digest: digest('a') }];
    await using([{ request: NEWEST.tags, answer: { status: 200, body: { tags } } }], async (client, host) => {
      expect(await failureOf(all(client.repository(host, 'a/b').listNewestTags()))).toMatchObject({
        code: 'ANSWER_INVALID',
      });
    });
  });

  test('a registry without these lists is asked once', async () => {
    await using([{ request: NEWEST.tags, answer: { status: 404, body: 'page not found' } }], async (client, host) => {
      const repository = client.repository(host, 'a/b');
      expect(await failureOf(all(repository.listNewestTags()))).toMatchObject({ code: 'NO_ACR_LISTS' });
      expect(await failureOf(all(repository.listNewestManifests()))).toMatchObject({ code: 'NO_ACR_LISTS' });
    });
  });

  test.each<[string, Answer]>([
    ['not for this identity', { status: 403 }],
    ['not by this method', { status: 405 }],
    ['a page for people', { status: 200, body: '<html>' }],
  ])('an answer that is no list is not remembered: %s', async (_, answer) => {
    await using([{ request: NEWEST.manifests, answer, times: 2 }], async (client, host) => {
      const list = (): Promise<unknown> => failureOf(all(client.repository(host, 'a/b').listNewestManifests()));
      expect([await list(), await list()]).toMatchObject([{ code: 'NO_ACR_LISTS' }, { code: 'NO_ACR_LISTS' }]);
    });
  });

  test('a missing repository or a failing registry does not count as a registry without these lists', async () => {
    const unknown = { status: 404, body: { errors: [{ code: 'NAME_UNKNOWN' }] } };
    await using([{ request: NEWEST.tags, answer: unknown }], async (client, host) => {
      expect(await failureOf(all(client.repository(host, 'a/b').listNewestTags()))).toMatchObject({
        code: 'NAME_UNKNOWN',
        notFound: true,
      });
    });
    await using([{ request: NEWEST.tags, answer: { status: 507 } }], async (client, host) => {
      expect(await failureOf(all(client.repository(host, 'a/b').listNewestTags()))).toMatchObject({ code: 'HTTP_507' });
    });
  });
});

describe('isWritable', () => {
  const OF_TAG = 'GET /acr/v1/a/b/_tags/v1';
  const OF_REPOSITORY = 'GET /acr/v1/a/b';
  const lock = (writeEnabled: boolean): object => ({ changeableAttributes: { writeEnabled } });
  const ofTag = (writeEnabled: boolean): Exchange => ({
    request: OF_TAG,
    answer: { status: 200, body: { tag: { name: 'v1', ...lock(writeEnabled) } } },
  });
  const ofRepository = (writeEnabled: boolean): Exchange => ({
    request: OF_REPOSITORY,
    answer: { status: 200, body: { imageName: 'a/b', ...lock(writeEnabled) } },
  });
  const nothing = (request: string, status = 404): Exchange => ({ request, answer: { status } });

  test.each<[string, Exchange[], boolean | undefined]>([
    ['no lock', [ofTag(true), ofRepository(true)], true],
    ['the tag’s', [ofTag(false)], false],
    ['the repository’s', [ofTag(true), ofRepository(false)], false],
    ['a tag that is not there', [nothing(OF_TAG), ofRepository(true)], true],
    ['a registry that shows none', [nothing(OF_TAG), nothing(OF_REPOSITORY, 405)], undefined],
    ['an identity that may not see it', [nothing(OF_TAG, 403), nothing(OF_REPOSITORY, 401)], undefined],
    ['an answer of another kind', [{ request: OF_TAG, answer: { status: 200, body: [] } }, ofRepository(true)], true],
  ])('looks at locks: %s', async (_what, exchanges, expected) => {
    await using(exchanges, async (client, host) => {
      expect(await client.repository(host, 'a/b').isWritable('v1')).toBe(expected);
    });
  });
});

describe('the registry itself', () => {
  test('lists its repositories', async () => {
    await using(
      [
        {
          request: 'GET /v2/_catalog?n=1000',
          answer: {
            status: 200,
            headers: { link: '</v2/_catalog?last=b&n=1000>; rel="next"' },
            body: { repositories: ['a', 'b'] },
          },
        },
        { request: 'GET /v2/_catalog?last=b&n=1000', answer: { status: 200, body: { repositories: ['c/d'] } } },
      ],
      async (client, host) => expect(await all(client.registry(host).listRepositories())).toEqual(['a', 'b', 'c/d']),
    );
    await using(
      [{ request: 'GET /v2/_catalog?n=1000&last=b', answer: { status: 200, body: { repositories: [] } } }],
      async (client, host) => {
        expect(await all(client.registry(host).listRepositories({ last: 'b' }))).toEqual([]);
      },
    );
  });

  test('checks access', async () => {
    await using([{ request: 'GET /v2/', answer: { status: 200, body: {} } }], async (client, host) =>
      client.registry(host).checkAccess(),
    );
    await using([{ request: 'GET /v2/', answer: { status: 404 } }], async (client, host) => {
      expect(await failureOf(client.registry(host).checkAccess())).toMatchObject({ code: 'HTTP_404' });
    });
  });
});

test('a counted client reports each page and each try, and shares what the client has learned', async () => {
  const more = { link: '</v2/a/b/tags/list?n=1000&last=v1>; rel="next"' };
  const busy = { status: 429, headers: { 'retry-after': '0' } };
  await using(
    [
      { request: TAGS, answer: { status: 200, headers: more, body: { tags: ['v1'] } } },
      { request: `${TAGS}&last=v1`, answer: busy },
      { request: `${TAGS}&last=v1`, answer: { status: 200, body: { tags: ['v2'] } } },
      { request: 'GET /acr/v1/a/b/_tags?n=100', answer: { status: 404 } },
      { request: TAGS, answer: { status: 200, body: { tags: [] } } },
      { request: TAGS, answer: { status: 200, body: { tags: [] } } },
    ],
    async (client, host) => {
      const asked: string[] = [];
      const counted = client.counted((registry) => asked.push(registry));
      expect(await all(counted.repository(host, 'a/b').listTags())).toEqual(['v1', 'v2']);
      expect(asked).toEqual([host, host, host]);
      expect(await all(counted.repository(host, 'a/b').listTagDetails())).toEqual([]);
      expect(await all(client.repository(host, 'a/b').listTagDetails())).toEqual([]);
      expect(asked).toHaveLength(5);
    },
  );
});

test('a counted client sends no request after onRequest throws', async () => {
  await using([], async (client, host) => {
    const counted = client.counted(() => {
      throw new InputError('ENOUGH', 'enough');
    });
    await expect(all(counted.repository(host, 'a/b').listTags())).rejects.toMatchObject({ code: 'ENOUGH' });
  });
});
