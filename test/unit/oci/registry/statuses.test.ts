import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import {
  digestOf,
  OCI_EMPTY,
  OCI_IMAGE_INDEX,
  OCI_IMAGE_MANIFEST,
  RegistryError,
  type RegistryClient,
  type RegistryRepository,
} from '../../../../src/oci/index.js';
import { blobOf, chunksOf, fixedCredentials, quickClient, readAll } from './clients.js';
import { referrersTag } from '../../../../src/oci/registry/referrers-index.js';

const BLOB_BYTES = Buffer.from('0123456789');
const BLOB = blobOf(BLOB_BYTES);
const NEW = blobOf(Buffer.from('abcdefghij'));
const EMPTY = { mediaType: OCI_EMPTY, digest: digestOf(Buffer.from('{}')), size: 2 };
const SUBJECT = { mediaType: OCI_IMAGE_MANIFEST, digest: digestOf(Buffer.from('subject')), size: 7 };
const MANIFEST = Buffer.from(
  JSON.stringify({ schemaVersion: 2, mediaType: OCI_IMAGE_MANIFEST, config: EMPTY, layers: [BLOB], subject: SUBJECT }),
);
const DIGEST = digestOf(MANIFEST);
const INDEX = {
  schemaVersion: 2,
  mediaType: OCI_IMAGE_INDEX,
  manifests: [{ mediaType: OCI_IMAGE_MANIFEST, digest: DIGEST, size: MANIFEST.length, artifactType: OCI_EMPTY }],
};

interface Kind {
  /** The requests to which the status applies. */
  matches: RegExp;
  /** The answer if there is no error. */
  status: number;
  headers?: Record<string, string>;
  body?: string | Buffer;
}

const json = (value: unknown): string => JSON.stringify(value);
const manifestHeaders = { 'content-type': OCI_IMAGE_MANIFEST, 'docker-content-digest': DIGEST };
const session = { location: '/v2/a/blobs/uploads/1?s=1' };

const KINDS = {
  'GET /v2/': { matches: /^GET \/v2\/$/, status: 200 },
  'HEAD manifest': { matches: /^HEAD \/v2\/a\/manifests\//, status: 200, headers: manifestHeaders, body: MANIFEST },
  'GET manifest': {
    matches: /^GET \/v2\/a\/manifests\/(v1|sha256:)/,
    status: 200,
    headers: manifestHeaders,
    body: MANIFEST,
  },
  'PUT manifest': { matches: /^PUT \/v2\/a\/manifests\/(v1|sha256:)/, status: 201 },
  'DELETE manifest': { matches: /^DELETE \/v2\/a\/manifests\//, status: 202 },
  'HEAD blob': { matches: new RegExp(`^HEAD /v2/a/blobs/${BLOB.digest}`), status: 200, body: BLOB_BYTES },
  'HEAD new blob': { matches: new RegExp(`^HEAD /v2/a/blobs/${NEW.digest}`), status: 404 },
  'GET blob': { matches: /^GET \/v2\/a\/blobs\/sha256/, status: 200, body: BLOB_BYTES },
  'DELETE blob': { matches: /^DELETE \/v2\/a\/blobs\/sha256/, status: 202 },
  'POST mount': { matches: /^POST .*mount=/, status: 202, headers: session },
  'POST upload': { matches: /^POST \/v2\/a\/blobs\/uploads\/$/, status: 202, headers: session },
  'PATCH upload': { matches: /^PATCH /, status: 202 },
  'PUT upload': { matches: /^PUT \/v2\/a\/blobs\/uploads\/1/, status: 201 },
  'DELETE upload': { matches: /^DELETE \/v2\/a\/blobs\/uploads\/1/, status: 204 },
  'GET referrers': {
    matches: /^GET \/v2\/a\/referrers\//,
    status: 200,
    headers: { 'content-type': OCI_IMAGE_INDEX },
    body: json(INDEX),
  },
  'GET index': {
    matches: new RegExp(`^GET /v2/a/manifests/${referrersTag(SUBJECT.digest)}`),
    status: 200,
    headers: { 'content-type': OCI_IMAGE_INDEX },
    body: json(INDEX),
  },
  'GET tags': { matches: /^GET \/v2\/a\/tags\/list/, status: 200, body: json({ tags: ['v1'] }) },
  'GET tag details': {
    matches: /^GET \/acr\/v1\/a\/_tags/,
    status: 200,
    body: json({ tags: [{ name: 'v1', digest: DIGEST, lastUpdateTime: '2026-01-02T03:04:05Z' }] }),
  },
  'GET catalog': { matches: /^GET \/v2\/_catalog/, status: 200, body: json({ repositories: ['a'] }) },
  'POST exchange': { matches: /^POST \/oauth2\/exchange/, status: 200, body: json({ refresh_token: 'r' }) },
  'POST token': { matches: /^POST \/oauth2\/token/, status: 200, body: json({ access_token: 't' }) },
} satisfies Record<string, Kind>;

type KindName = keyof typeof KINDS;

/** Two failures without a status: a closed connection, and a redirect to itself. */
const CLOSED = -1;
const CIRCLE = -2;

/** The kind of request that gets the status. */
let broken: { kind: KindName; status: number } | undefined;
let withTokens = false;
let requests = 0;
let server: Server;
let host = '';

beforeAll(async () => {
  server = createServer((request, response) => {
    requests += 1;
    void buffer(request).then(() => {
      const line = `${request.method ?? ''} ${request.url ?? ''}`;
      const found = (Object.entries(KINDS) as [KindName, Kind][]).find(([, kind]) => kind.matches.test(line));
      if (found === undefined) return response.writeHead(599).end();
      const [name, kind] = found;
      if (withTokens && !line.includes('/oauth2/') && request.headers.authorization !== 'Bearer t') {
        return response
          .writeHead(401, { 'www-authenticate': `Bearer realm="http://${host}/oauth2/token",service="s"` })
          .end();
      }
      const status = broken?.kind === name ? broken.status : kind.status;
      if (status === CLOSED) return response.destroy();
      if (status === CIRCLE) return response.writeHead(307, { location: request.url ?? '' }).end();
      // A success has headers and a body; any other answer has none.
      const body = status < 300 ? Buffer.from(kind.body ?? '') : Buffer.alloc(0);
      const length = status === 204 || status === 304 ? {} : { 'content-length': body.length };
      response.writeHead(status, { ...length, ...(status < 300 && kind.headers) });
      return response.end(request.method === 'HEAD' || status === 204 || status === 304 ? undefined : body);
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  host = `localhost:${(server.address() as AddressInfo).port}`;
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const result: T[] = [];
  for await (const item of items) result.push(item);
  return result;
}

interface Case {
  kind: KindName;
  run: (repository: RegistryRepository, client: RegistryClient) => Promise<unknown>;
  /** Statuses with which the operation succeeds. */
  fine: number[];
  /** Error codes that differ from the code of the status. */
  codes?: Record<number, string>;
  options?: Parameters<typeof quickClient>[0];
}

const chunked = { uploads: { monolithicBytes: 0, chunkBytes: 4 } };
const tagOnly = { referrers: 'tag' as const };
const pushNew = (repository: RegistryRepository): Promise<void> =>
  repository.pushBlob(NEW, () => chunksOf(Buffer.from('abcdefghij')));
const entra = { credentials: fixedCredentials({ kind: 'entra', accessToken: 'e' }) };

const CASES: Case[] = [
  { kind: 'GET /v2/', run: (_, client) => client.registry(host).checkAccess(), fine: [200] },
  {
    kind: 'HEAD manifest',
    run: (repository) => repository.resolve('v1'),
    fine: [200, 405],
    codes: { 404: 'MANIFEST_UNKNOWN' },
  },
  {
    kind: 'GET manifest',
    run: (repository) => repository.fetchManifest('v1'),
    fine: [200],
    codes: { 404: 'MANIFEST_UNKNOWN' },
  },
  {
    kind: 'PUT manifest',
    run: (repository) => repository.pushManifest(MANIFEST, OCI_IMAGE_MANIFEST, { tag: 'v1' }),
    fine: [200, 201, 202],
    codes: { 404: 'NAME_UNKNOWN' },
  },
  {
    kind: 'GET referrers',
    run: (repository) => repository.pushManifest(MANIFEST, OCI_IMAGE_MANIFEST, { tag: 'v1' }),
    fine: [200, 404],
  },
  {
    kind: 'GET index',
    run: (repository) => repository.pushManifest(MANIFEST, OCI_IMAGE_MANIFEST),
    fine: [200],
    options: tagOnly,
    codes: { 404: 'HTTP_599' },
  },
  {
    kind: 'DELETE manifest',
    run: (repository) => repository.deleteManifest(DIGEST),
    fine: [200, 202, 204],
    codes: { 404: 'MANIFEST_UNKNOWN' },
    options: { referrers: 'api' },
  },
  { kind: 'HEAD blob', run: (repository) => repository.hasBlob(BLOB), fine: [200, 404], codes: { 201: 'HTTP_201' } },
  {
    kind: 'GET blob',
    run: async (repository) => readAll(await repository.openBlob(BLOB)),
    fine: [200],
    codes: { 404: 'BLOB_UNKNOWN' },
  },
  {
    kind: 'DELETE blob',
    run: (repository) => repository.deleteBlob(BLOB),
    fine: [200, 202, 204],
    codes: { 404: 'BLOB_UNKNOWN' },
  },
  { kind: 'HEAD new blob', run: pushNew, fine: [200, 404] },
  { kind: 'POST upload', run: pushNew, fine: [202], codes: { 404: 'NAME_UNKNOWN' } },
  { kind: 'PATCH upload', run: pushNew, fine: [201, 202, 204], options: chunked },
  { kind: 'PUT upload', run: pushNew, fine: [200, 201, 204] },
  { kind: 'PUT upload', run: pushNew, fine: [200, 201, 204], options: chunked },
  {
    kind: 'POST mount',
    run: (repository) => repository.mountBlob(BLOB, 'b'),
    fine: [201, 202, 400, 401, 403, 404, 405],
  },
  { kind: 'GET referrers', run: (repository) => repository.listReferrers(SUBJECT.digest), fine: [200, 404] },
  {
    kind: 'GET index',
    run: (repository) => repository.listReferrers(SUBJECT.digest),
    fine: [200, 404],
    options: tagOnly,
  },
  { kind: 'GET tags', run: (repository) => all(repository.listTags()), fine: [200], codes: { 404: 'NAME_UNKNOWN' } },
  { kind: 'GET tag details', run: (repository) => all(repository.listTagDetails()), fine: [200, 401, 403, 404, 405] },
  {
    kind: 'GET tag details',
    run: (repository) => all(repository.listNewestTags()),
    fine: [200],
    codes: { 401: 'NO_ACR_LISTS', 403: 'NO_ACR_LISTS', 404: 'NO_ACR_LISTS', 405: 'NO_ACR_LISTS' },
  },
  { kind: 'GET catalog', run: (_, client) => all(client.registry(host).listRepositories()), fine: [200] },
  {
    kind: 'POST exchange',
    run: (repository) => repository.resolve('v1'),
    fine: [200],
    options: entra,
    codes: { [CIRCLE]: 'HTTP_307' },
  },
  {
    kind: 'POST token',
    run: (repository) => repository.resolve('v1'),
    fine: [200],
    options: entra,
    codes: { [CIRCLE]: 'HTTP_307' },
  },
];

const STATUSES = [
  200,
  201,
  202,
  204,
  206,
  301,
  304,
  307,
  400,
  401,
  403,
  404,
  405,
  409,
  412,
  413,
  416,
  418,
  429,
  500,
  501,
  502,
  503,
  504,
  CLOSED,
  CIRCLE,
];
/** Statuses that are transient. */
const MAY_PASS = [408, 425, 429, 500, 502, 503, 504, 599];
const OWN_CODES: Record<number, string> = {
  [CLOSED]: 'CONNECTION_CLOSED',
  [CIRCLE]: 'TOO_MANY_REDIRECTS',
  401: 'UNAUTHORIZED',
  403: 'DENIED',
  429: 'TOOMANYREQUESTS',
};

describe('every status of every request', () => {
  test.each(CASES.map((entry) => [entry.kind, String(entry.run).slice(0, 60), entry] as const))(
    '%s in %s',
    async (_, __, entry) => {
      for (const status of STATUSES) {
        broken = { kind: entry.kind, status };
        withTokens = entry.options === entra;
        requests = 0;
        const client = quickClient({ ...entry.options, retry: { baseMs: 0 } });
        const outcome = await entry.run(client.repository(host, 'a'), client).then(
          () => 'fine',
          (error: unknown) => error,
        );
        await client.close();
        const where = `${entry.kind} ${status}`;
        expect([where, requests]).toEqual([where, Math.min(requests, 60)]);
        if (entry.fine.includes(status)) {
          expect([where, outcome]).toEqual([where, 'fine']);
          continue;
        }
        const code = entry.codes?.[status] ?? OWN_CODES[status] ?? `HTTP_${status}`;
        expect([where, outcome]).toEqual([where, expect.objectContaining({ code })]);
        if (outcome instanceof RegistryError) {
          const answered = /^HTTP_(\d+)$/.exec(code)?.[1] ?? status;
          expect([where, outcome.info.status]).toEqual([where, Number(answered)]);
          expect([where, outcome.transient]).toEqual([where, MAY_PASS.includes(Number(answered))]);
          expect(outcome.message).toContain(host);
        }
      }
    },
  );

  test.each(STATUSES)('a status %d when cancelling the upload after a failed mount changes nothing', async (status) => {
    broken = { kind: 'DELETE upload', status };
    withTokens = false;
    const client = quickClient({ retry: { baseMs: 0 } });
    expect(await client.repository(host, 'a').mountBlob(BLOB, 'b')).toBe(false);
    await client.close();
  });
});

describe('errors that pass', () => {
  test.each([
    [429, 2],
    [503, 3],
  ])('%d at every request of %d', async (status, every) => {
    broken = undefined;
    withTokens = true;
    let count = 0;
    const [original] = server.listeners('request') as ((...parts: unknown[]) => void)[];
    const stormy = (
      request: { resume(): void },
      response: { writeHead(status: number, headers: object): { end(): void } },
    ): void => {
      count += 1;
      if (count % every === 1) {
        request.resume();
        response.writeHead(status, { 'retry-after': '0' }).end();
      } else original?.(request, response);
    };
    server.removeAllListeners('request');
    server.on('request', stormy);
    try {
      const client = quickClient({ ...entra, ...(status === 429 && chunked), retry: { baseMs: 0 } });
      const repository = client.repository(host, 'a');
      await pushNew(repository);
      await repository.pushManifest(MANIFEST, OCI_IMAGE_MANIFEST, { tag: 'v1' });
      expect(await repository.resolve('v1')).toMatchObject({ digest: DIGEST });
      expect(await readAll(await repository.openBlob(BLOB))).toEqual(BLOB_BYTES);
      expect(await all(repository.listTags())).toEqual(['v1']);
      expect(await repository.listReferrers(SUBJECT.digest)).toHaveLength(1);
      await repository.deleteManifest(DIGEST).catch((error: unknown) => {
        // In this registry with fixed answers, the index cannot be written.
        expect(error).toMatchObject({ code: expect.stringMatching(/^HTTP_599|REFERRERS_INDEX_CONTENDED/) });
      });
      await client.close();
    } finally {
      server.removeAllListeners('request');
      if (original !== undefined) server.on('request', original);
    }
  });
});
