import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import {
  ContainerRegistryClient,
  ContainerRegistryContentClient,
  KnownManifestMediaType,
  type ArtifactManifestProperties,
  type ContainerRepository,
  type RegistryArtifact,
} from '@azure/container-registry';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { startIdentity, type RunningIdentity } from '../../local/identity/server.js';
import { startRegistry, type RunningRegistry } from '../../local/registry/server.js';
import { digestOf, OCI_EMPTY, OCI_IMAGE_CONFIG, OCI_IMAGE_INDEX } from '../../src/oci/index.js';
import { CN, issue, issueAuthority } from '../support/certificates.js';

/** Microsoft's own clients for ACR, against local/registry: they take HTTPS only, and ask with Entra tokens. */
const authority = issueAuthority({ subject: [[CN, 'test authority']] });
const ARM = 'https://management.azure.com';

let folder: string;
let identity: RunningIdentity;
let registry: RunningRegistry;
let repositories = 0;
/** A repository of the test's own. */
let name: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'azure-clients-'));
  identity = await startIdentity({ dataDir: join(folder, 'identity') });
  registry = await startTls('registry', {});
});

afterAll(async () => {
  await registry.close();
  await identity.close();
  await rm(folder, { recursive: true, force: true });
});

beforeEach(() => {
  repositories += 1;
  name = `samples/app-${String(repositories).padStart(2, '0')}`;
});

async function startTls(
  dataDir: string,
  quirks: Parameters<typeof startRegistry>[0]['quirks'],
): Promise<RunningRegistry> {
  const { pem, keyPem } = issue({ subject: [[CN, 'localhost']], dnsNames: ['localhost'], issuer: authority });
  return await startRegistry({
    dataDir: join(folder, dataDir),
    entraKeysFile: identity.publicKeysFile,
    tls: { cert: pem, key: keyPem },
    ...(quirks !== undefined && { quirks }),
  });
}

/** A token of local/identity for whatever audience the client asks for. */
const credential = {
  getToken: async (scopes: string | string[]) => {
    const { IDENTITY_ENDPOINT, IDENTITY_HEADER } = identity.environment;
    const resource = String(scopes);
    const query = new URLSearchParams({ resource, 'api-version': '2019-08-01' });
    const answer = await fetch(`${IDENTITY_ENDPOINT}?${query.toString()}`, {
      headers: { 'x-identity-header': IDENTITY_HEADER },
    });
    const { access_token: token, expires_on: expires } = (await answer.json()) as Record<string, string>;
    return { token: token ?? '', expiresOnTimestamp: Number(expires) * 1000 };
  },
};

const options = { tlsOptions: { ca: authority.pem }, retryOptions: { maxRetries: 0 } };
const endpoint = (of: RunningRegistry = registry): string => `https://localhost:${of.port}`;
const client = (more: object = {}): ContainerRegistryClient =>
  recorded(new ContainerRegistryClient(endpoint(), credential, { ...options, ...more }), 'ContainerRegistryClient');
const content = (repository = name): ContainerRegistryContentClient =>
  recorded(
    new ContainerRegistryContentClient(endpoint(), repository, credential, options),
    'ContainerRegistryContentClient',
  );

/** `Class.method` of each call, and of each that there is. */
const called = new Set<string>();
const known = new Set<string>();

function recorded<T extends object>(target: T, what: string): T {
  for (const method of Object.getOwnPropertyNames(Object.getPrototypeOf(target))) {
    // Parts of others, which the types do not show.
    if (/^constructor$|^getDigest$|(?:Items|Page)$/.test(method) || typeof Reflect.get(target, method) !== 'function')
      continue;
    known.add(`${what}.${method}`);
  }
  return new Proxy(target, {
    get: (object, key) => {
      const value: unknown = Reflect.get(object, key);
      if (typeof value !== 'function' || typeof key !== 'string') return value;
      return (...args: unknown[]): unknown => {
        called.add(`${what}.${key}`);
        const result: unknown = Reflect.apply(value, object, args);
        if (key === 'getRepository') return recorded(result as ContainerRepository, 'ContainerRepository');
        if (key === 'getArtifact') return recorded(result as RegistryArtifact, 'RegistryArtifact');
        return result;
      };
    },
  });
}

async function pages<T>(list: { byPage(settings: { maxPageSize: number }): AsyncIterable<T[]> }, maxPageSize: number) {
  const found: T[][] = [];
  for await (const page of list.byPage({ maxPageSize })) found.push([...page]);
  return found;
}

const pause = async (): Promise<unknown> => await new Promise((resolve) => setTimeout(resolve, 5));
const refusal = (statusCode: number, code: string) => ({ statusCode, details: { errors: [{ code }] } });
const LOCKED = refusal(405, 'REGISTRY_DISALLOWED_OPERATION');

/** Pushes an image of one layer. @returns its digest */
async function push(tag: string | undefined, more: object = {}, repository = name): Promise<string> {
  const to = content(repository);
  const config = Buffer.from(
    JSON.stringify({ architecture: 'arm64', os: 'linux', rootfs: { type: 'layers', diff_ids: [] } }),
  );
  const layer = Buffer.from('layer');
  for (const blob of [config, layer]) await to.uploadBlob(blob);
  const described = (mediaType: string, bytes: Buffer) => ({ mediaType, digest: digestOf(bytes), size: bytes.length });
  const manifest = {
    schemaVersion: 2,
    mediaType: KnownManifestMediaType.OciImageManifest,
    config: described(OCI_IMAGE_CONFIG, config),
    layers: [described('application/vnd.oci.image.layer.v1.tar', layer)],
    ...more,
  };
  await pause();
  const { digest } = await to.setManifest(Buffer.from(JSON.stringify(manifest)), { ...(tag !== undefined && { tag }) });
  return digest;
}

const digestsOf = (found: readonly { digest: string }[]): string[] => found.map(({ digest }) => digest);

describe("Microsoft's clients for ACR", () => {
  test('blobs are uploaded in chunks, downloaded unchanged and deleted', async () => {
    const bytes = randomBytes(9 * 1024 * 1024);
    const { digest, sizeInBytes } = await content().uploadBlob(bytes);
    expect([digest, sizeInBytes]).toEqual([digestOf(bytes), bytes.length]);
    const down = await content().downloadBlob(digest);
    expect((await buffer(down.content)).equals(bytes)).toBe(true);
    await content().deleteBlob(digest);
    await expect(content().downloadBlob(digest)).rejects.toMatchObject({ statusCode: 404 });
    await content().deleteBlob(digest);
  });

  test('a manifest is pushed under a tag or its digest and read by both', async () => {
    const tagged = await push('v1');
    const untagged = await push(undefined, { annotations: { a: 'b' } });
    expect(await content().getManifest('v1')).toMatchObject({
      digest: tagged,
      mediaType: KnownManifestMediaType.OciImageManifest,
      manifest: { schemaVersion: 2 },
    });
    expect((await content().getManifest(untagged)).digest).toBe(untagged);
    await content().deleteManifest(untagged);
    await expect(content().getManifest(untagged)).rejects.toMatchObject(refusal(404, 'MANIFEST_UNKNOWN'));
    // The client takes a manifest that is not there for deleted.
    await content().deleteManifest(untagged);
  });

  test('the catalog is read page by page', async () => {
    for (const repository of ['catalog/b', 'catalog/a']) await push('v1', {}, repository);
    const all: string[] = [];
    for await (const repository of client().listRepositoryNames()) all.push(repository);
    expect(all).toEqual([...all].sort());
    expect(all).toEqual(expect.arrayContaining(['catalog/a', 'catalog/b']));
    const two = await pages(client().listRepositoryNames(), 2);
    expect(two.every((page) => page.length <= 2)).toBe(true);
    expect(two.flat()).toEqual(all);
  });

  test('manifests are listed by the time of their last change in both orders, page by page, untagged ones included', async () => {
    const first = await push('v1');
    const subject = { mediaType: KnownManifestMediaType.OciImageManifest, digest: first, size: 1 };
    const empty = { mediaType: OCI_EMPTY, digest: digestOf(Buffer.from('{}')), size: 2 };
    await content().uploadBlob(Buffer.from('{}'));
    const referrer = await push(undefined, { artifactType: 'a/b', config: empty, subject });
    const body = JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_IMAGE_INDEX,
      manifests: [{ ...subject, platform: { architecture: 'arm64', os: 'linux' } }],
    });
    await pause();
    const index = await content().setManifest(Buffer.from(body), { tag: 'all', mediaType: OCI_IMAGE_INDEX });
    const repository = client().getRepository(name);
    const listed = async (order: 'LastUpdatedOnAscending' | 'LastUpdatedOnDescending', entries: number) =>
      (await pages(repository.listManifestProperties({ order }), entries)).map(digestsOf);
    expect(await listed('LastUpdatedOnAscending', 2)).toEqual([[first, referrer], [index.digest]]);
    expect(await listed('LastUpdatedOnDescending', 1)).toEqual([[index.digest], [referrer], [first]]);
    const all: ArtifactManifestProperties[] = [];
    for await (const manifest of repository.listManifestProperties()) all.push(manifest);
    expect(digestsOf(all)).toEqual([first, referrer, index.digest].sort());
    const by = (digest: string) => all.find((manifest) => manifest.digest === digest);
    expect(by(first)).toMatchObject({
      registryLoginServer: registry.name,
      repositoryName: name,
      architecture: 'arm64',
      operatingSystem: 'linux',
      tags: ['v1'],
      createdOn: expect.any(Date) as unknown,
      lastUpdatedOn: expect.any(Date) as unknown,
      canDelete: true,
      canWrite: true,
      canList: true,
      canRead: true,
    });
    expect(by(referrer)).toMatchObject({ tags: [], relatedArtifacts: [] });
    expect(by(index.digest)?.relatedArtifacts).toEqual([
      { digest: first, architecture: 'arm64', operatingSystem: 'linux' },
    ]);
    expect(await repository.getArtifact('v1').getManifestProperties()).toEqual(by(first));
  });

  test('tags are listed by the time of their last change in both orders, page by page, and by digest', async () => {
    const first = await push('m');
    await push('z', { annotations: { other: 'image' } });
    await push('a');
    const artifact = client().getArtifact(name, 'm');
    const listed = async (more: object, entries = 10) =>
      (await pages(artifact.listTagProperties(more), entries)).map((page) => page.map((tag) => tag.name));
    expect(await listed({ order: 'LastUpdatedOnAscending' }, 2)).toEqual([['m', 'z'], ['a']]);
    expect(await listed({ order: 'LastUpdatedOnDescending' }, 1)).toEqual([['a'], ['z'], ['m']]);
    expect(await listed({})).toEqual([['a', 'm', 'z']]);
    // The client's types do not show it; its requests have it.
    expect(await listed({ digest: first }, 1)).toEqual([['a'], ['m']]);
    const tag = await artifact.getTagProperties('a');
    expect(tag).toMatchObject({ name: 'a', digest: first, repositoryName: name, canWrite: true });
    expect(tag.lastUpdatedOn.getTime()).toBeGreaterThan((await artifact.getTagProperties('m')).lastUpdatedOn.getTime());
  });

  test('a repository has times and counts', async () => {
    await push('v1');
    await push('v2');
    const digest = await push('v3', { annotations: { a: 'b' } });
    const found = await client().getRepository(name).getProperties();
    expect(found).toMatchObject({ registryLoginServer: registry.name, name, manifestCount: 2, tagCount: 3 });
    const manifest = await client().getArtifact(name, digest).getManifestProperties();
    expect(found.lastUpdatedOn).toEqual(manifest.lastUpdatedOn);
    expect(found.createdOn.getTime()).toBeLessThan(found.lastUpdatedOn.getTime());
    await expect(client().getRepository('samples/none').getProperties()).rejects.toMatchObject({ statusCode: 404 });
  });

  describe('a lock forbids writes until it is removed', () => {
    const open = { canRead: true, canList: true, canWrite: true, canDelete: true };

    test('on a tag', async () => {
      await push('v1');
      const artifact = client().getArtifact(name, 'v1');
      expect(await artifact.updateTagProperties('v1', { canWrite: false })).toMatchObject({ ...open, canWrite: false });
      await expect(push('v1', { annotations: { a: 'b' } })).rejects.toMatchObject(LOCKED);
      await expect(artifact.deleteTag('v1')).rejects.toMatchObject(LOCKED);
      await expect(artifact.delete()).rejects.toMatchObject(LOCKED);
      await artifact.updateTagProperties('v1', { ...open, canDelete: false });
      await push('v1', { annotations: { a: 'b' } });
      await expect(artifact.deleteTag('v1')).rejects.toMatchObject(LOCKED);
      await artifact.updateTagProperties('v1', { ...open, canRead: false, canList: false });
      await expect(content().getManifest('v1')).rejects.toMatchObject(LOCKED);
      expect(await pages(artifact.listTagProperties(), 10)).toEqual([[]]);
      expect(await artifact.getTagProperties('v1')).toMatchObject({ ...open, canRead: false, canList: false });
      await artifact.updateTagProperties('v1', open);
      await content().getManifest('v1');
      await artifact.deleteTag('v1');
      await artifact.deleteTag('v1');
    });

    test('on a manifest', async () => {
      const digest = await push('v1');
      const artifact = client().getArtifact(name, digest);
      expect(await artifact.updateManifestProperties({ canDelete: false })).toMatchObject({
        ...open,
        canDelete: false,
      });
      await expect(artifact.delete()).rejects.toMatchObject(LOCKED);
      await artifact.updateManifestProperties({ ...open, canWrite: false });
      await expect(push('v2')).rejects.toMatchObject(LOCKED);
      await artifact.updateManifestProperties({ ...open, canRead: false, canList: false });
      await expect(content().getManifest('v1')).rejects.toMatchObject(LOCKED);
      expect(await pages(client().getRepository(name).listManifestProperties(), 10)).toEqual([[]]);
      await artifact.updateManifestProperties(open);
      await artifact.delete();
      expect(await pages(artifact.listTagProperties(), 10)).toEqual([[]]);
    });

    test('on a repository', async () => {
      await push('v1');
      const repository = client().getRepository(name);
      expect(await repository.updateProperties({ canWrite: false })).toMatchObject({ ...open, canWrite: false });
      await expect(content().uploadBlob(Buffer.from('more'))).rejects.toMatchObject(LOCKED);
      await expect(repository.delete()).rejects.toMatchObject(LOCKED);
      await repository.updateProperties({ ...open, canRead: false, canList: false });
      await expect(content().getManifest('v1')).rejects.toMatchObject(LOCKED);
      expect((await pages(client().listRepositoryNames(), 100)).flat()).not.toContain(name);
      await repository.updateProperties(open);
      await client().getArtifact(name, 'v1').updateTagProperties('v1', { canDelete: false });
      await expect(client().deleteRepository(name)).rejects.toMatchObject(LOCKED);
    });
  });

  test('a repository is deleted with its content, and a new one of its name has no locks', async () => {
    const digest = await push('v1');
    const repository = client().getRepository(name);
    await repository.updateProperties({ canList: false });
    await repository.delete();
    await expect(content().getManifest('v1')).rejects.toMatchObject({ statusCode: 404 });
    await expect(content().downloadBlob(digestOf(Buffer.from('layer')))).rejects.toMatchObject({ statusCode: 404 });
    expect(await push('v1')).toBe(digest);
    expect(await repository.getProperties()).toMatchObject({ canList: true, manifestCount: 1, tagCount: 1 });
    await client().deleteRepository(name);
    await client().deleteRepository(name);
  });

  test("a token for Azure Resource Manager is taken as one for ACR is, unless the registry wants ACR's own", async () => {
    await push('v1');
    expect((await pages(client({ audience: ARM }).listRepositoryNames(), 100)).flat()).toContain(name);
    const strict = await startTls('strict', { refuseArmAudience: true });
    try {
      const names = async (more: object) =>
        await pages(
          new ContainerRegistryClient(endpoint(strict), credential, { ...options, ...more }).listRepositoryNames(),
          9,
        );
      expect(await names({})).toEqual([[]]);
      await expect(names({ audience: ARM })).rejects.toMatchObject({ statusCode: 401 });
    } finally {
      await strict.close();
    }
    expect(new Set(identity.log.map(({ resource }) => resource))).toEqual(
      new Set(['https://containerregistry.azure.net', ARM]),
    );
  });

  test('every call of both clients was made', () => {
    expect([...known].filter((method) => !called.has(method))).toEqual([]);
    expect(known.size).toBe(22);
  });
});
