import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  anonymousCredentials,
  basicCredentials,
  createRegistries,
  digestOf,
  DOCKER_MANIFEST,
  OCI_ARTIFACT_MANIFEST,
  OCI_EMPTY,
  OCI_IMAGE_INDEX,
  OCI_IMAGE_MANIFEST,
  REQUEST_CHANNEL,
  type Descriptor,
  type RegistriesOptions,
  type RegistryClient,
  type RegistryRepository,
  type RequestEvent,
} from 'acr-promoter/oci';
import { startRegistry, type RegistryOptions } from '../../local/registry/server.js';
import { findPeer } from '../support/peers.js';
import {
  startBehindNginx,
  startCraneRegistry,
  startDockerRegistry,
  startOlareg,
  type RunningPeer,
} from '../support/registry-peers.js';

/** What a registry can not do, by name; the tests that need it are left out there. */
type Inability =
  'ACR lists' | 'artifact manifest' | 'catalog' | 'concurrent referrers' | 'mount' | 'sha512' | 'tag pages';

interface Peer {
  name: string;
  programs: string[];
  start: (programs: string[]) => Promise<RunningPeer>;
  options?: (host: string) => Partial<RegistriesOptions>;
  cannot?: Inability[];
}

function local(name: string, registry: Partial<RegistryOptions>, options: Peer['options'] = () => ({})): Peer {
  return {
    name: `local/registry ${name}`,
    programs: [],
    start: async () => {
      const dataDir = await mkdtemp(join(tmpdir(), 'registry-'));
      const running = await startRegistry({ dataDir, ...registry });
      return {
        host: `localhost:${running.port}`,
        stop: async () => {
          await running.close();
          await rm(dataDir, { recursive: true, force: true });
        },
      };
    },
    options,
  };
}

const signedIn = (host: string): Partial<RegistriesOptions> => ({
  credentials: basicCredentials('user', 'password', [host]),
});
const users = [{ name: 'user', password: 'password' }];

/** Debian's is 2.8: it knows nothing of artifacts, and gives all tags whatever is asked for. */
const DOCKER_REGISTRY_CANNOT: Inability[] = ['ACR lists', 'artifact manifest', 'tag pages'];

const PEERS: Peer[] = [
  local('anonymous', { anonymous: true }),
  local('with tokens', { users }, signedIn),
  local('without the referrers API', { anonymous: true, quirks: { noReferrersApi: true } }),
  local('that claims to note subjects but has no API', {
    anonymous: true,
    quirks: { subjectHeaderWithoutApi: true, noReferrersApi: true },
  }),
  local(
    'with ACR’s habits',
    {
      users,
      quirks: {
        maxMonolithicBytes: 100_000,
        refuseChunkedTransfer: true,
        redirectBlobs: true,
        referrersWithoutArtifactType: true,
        pageEntries: 7,
      },
    },
    signedIn,
  ),
  local(
    'in trouble',
    {
      users,
      accessTokenSeconds: 2,
      quirks: { absoluteLocations: true, loseEveryNthUpload: 7, throttleEveryNth: 9, retryAfterSeconds: 0 },
    },
    signedIn,
  ),
  {
    name: 'docker-registry',
    programs: ['docker-registry'],
    start: ([program = '']) => startDockerRegistry(program),
    cannot: DOCKER_REGISTRY_CANNOT,
  },
  {
    name: 'docker-registry behind nginx with Basic',
    programs: ['nginx', 'docker-registry'],
    start: ([nginx = '', program = '']) => startBehindNginx(nginx, program),
    options: signedIn,
    cannot: DOCKER_REGISTRY_CANNOT,
  },
  {
    name: 'olareg',
    programs: ['olareg'],
    start: ([program = '']) => startOlareg(program),
    cannot: ['ACR lists', 'artifact manifest', 'catalog', 'concurrent referrers'],
  },
  {
    name: 'crane registry serve',
    programs: ['crane'],
    start: ([program = '']) => startCraneRegistry(program),
    cannot: ['ACR lists', 'mount', 'sha512'],
  },
];

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const result: T[] = [];
  for await (const item of items) result.push(item);
  return result;
}

async function readAll(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await all(body));
}

function randomBytes(length: number, seed: number): Buffer {
  let state = seed;
  return Buffer.from(
    Array.from({ length }, () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return state >>> 24;
    }),
  );
}

function blobOf(bytes: Uint8Array, mediaType = 'application/octet-stream'): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

const EMPTY_BYTES = Buffer.from('{}');
const EMPTY = blobOf(EMPTY_BYTES, OCI_EMPTY);

for (const peer of PEERS) {
  const programs = peer.programs.map((name) => findPeer(name));
  const absent = peer.programs.filter((_, index) => programs[index] === undefined);
  if (absent.length > 0 && process.env['CI'] !== undefined) {
    test(`${peer.name} needs ${absent.join(', ')}`, () => expect(absent).toEqual([]));
    continue;
  }
  const describeIfThere = absent.length > 0 ? describe.skip : describe;
  // What a registry can't do is listed by name in PEERS, and not asked of it: a skipped test is a failure in CI.
  const can =
    (what: Inability) =>
    (title: string, run: () => Promise<void>, timeoutMs?: number): void => {
      if (peer.cannot?.includes(what) !== true) test(title, run, timeoutMs);
    };

  describeIfThere(peer.name, () => {
    let running: RunningPeer;
    let client: RegistryClient;
    let clientOptions: RegistriesOptions;
    let repositories = 0;

    beforeAll(async () => {
      running = await peer.start(programs.filter((program) => program !== undefined));
      clientOptions = { credentials: anonymousCredentials, retry: { baseMs: 10 }, ...peer.options?.(running.host) };
      client = createRegistries(clientOptions);
    });

    afterAll(async () => {
      await client.close();
      await running.stop();
    });

    /** A repository that no other test writes to. */
    function fresh(): RegistryRepository {
      repositories += 1;
      return client.repository(running.host, `test/repository-${repositories}`);
    }

    async function push(repository: RegistryRepository, bytes: Uint8Array, mediaType?: string): Promise<Descriptor> {
      const descriptor = blobOf(bytes, mediaType);
      await repository.pushBlob(descriptor, async function* () {
        await Promise.resolve();
        for (let start = 0; start < bytes.length; start += 65_536) yield bytes.subarray(start, start + 65_536);
      });
      return descriptor;
    }

    async function image(repository: RegistryRepository, seed: number, tag?: string): Promise<Descriptor> {
      const layer = await push(repository, randomBytes(1000, seed));
      const config = await push(repository, EMPTY_BYTES, OCI_EMPTY);
      const manifest = {
        schemaVersion: 2,
        mediaType: OCI_IMAGE_MANIFEST,
        artifactType: 'application/x-test',
        config,
        layers: [layer],
      };
      return repository.pushManifest(
        Buffer.from(JSON.stringify(manifest)),
        OCI_IMAGE_MANIFEST,
        tag === undefined ? {} : { tag },
      );
    }

    async function attach(
      repository: RegistryRepository,
      subject: Descriptor,
      artifactType: string,
    ): Promise<Descriptor> {
      const manifest = {
        schemaVersion: 2,
        mediaType: OCI_IMAGE_MANIFEST,
        artifactType,
        config: EMPTY,
        layers: [EMPTY],
        subject,
        annotations: { 'org.example.type': artifactType },
      };
      const descriptor = await repository.pushManifest(Buffer.from(JSON.stringify(manifest)), OCI_IMAGE_MANIFEST);
      return { ...descriptor, artifactType };
    }

    test('a blob is pushed once, found, and read whole and from an offset', async () => {
      const repository = fresh();
      const bytes = randomBytes(300_000, 1);
      const blob = blobOf(bytes);
      expect(await repository.hasBlob(blob)).toBe(false);
      await push(repository, bytes);
      expect(await repository.hasBlob(blob)).toBe(true);
      expect((await readAll(await repository.openBlob(blob))).equals(bytes)).toBe(true);
      expect(
        (await readAll(await repository.openBlob(blob, { offset: 123_456 }))).equals(bytes.subarray(123_456)),
      ).toBe(true);
      const seen: string[] = [];
      const listen = (event: unknown): void => {
        const { phase, method, status = 0 } = event as RequestEvent;
        if (phase === 'end' && status < 400) seen.push(method);
      };
      subscribe(REQUEST_CHANNEL, listen);
      await push(repository, bytes);
      unsubscribe(REQUEST_CHANNEL, listen);
      expect(seen.filter((method) => method !== 'HEAD' && method !== 'GET')).toEqual([]);
    });

    test('the empty blob can be pushed and read', async () => {
      const repository = fresh();
      const blob = await push(repository, new Uint8Array());
      expect(await repository.hasBlob(blob)).toBe(true);
      expect(await readAll(await repository.openBlob(blob))).toHaveLength(0);
    });

    test('a blob can be pushed in pieces', async () => {
      const inPieces = createRegistries({ ...clientOptions, uploads: { monolithicBytes: 0, chunkBytes: 70_000 } });
      try {
        const repository = inPieces.repository(running.host, 'test/pieces');
        const bytes = randomBytes(300_001, 2);
        const blob = await push(repository, bytes);
        expect((await readAll(await repository.openBlob(blob))).equals(bytes)).toBe(true);
      } finally {
        await inPieces.close();
      }
    });

    test('a blob with a wrong digest is refused', async () => {
      const repository = fresh();
      const wrong = { ...blobOf(Buffer.from('this')), size: 4 };
      const failure = repository.pushBlob(wrong, async function* () {
        await Promise.resolve();
        yield Buffer.from('that');
      });
      await expect(failure).rejects.toMatchObject({ code: expect.stringMatching(/^[A-Z0-9_]+$/) });
      expect(await repository.hasBlob(wrong)).toBe(false);
    });

    can('mount')('a blob of another repository is taken over', async () => {
      const [from, to] = [fresh(), fresh()];
      const blob = await push(from, randomBytes(1000, 3));
      expect(await to.mountBlob(blob, from.name.slice(running.host.length + 1))).toBe(true);
      expect(await to.hasBlob(blob)).toBe(true);
    });

    test('a blob that is nowhere is not mounted and can then be pushed', async () => {
      const [from, to] = [fresh(), fresh()];
      const bytes = randomBytes(1000, 4);
      expect(await to.mountBlob(blobOf(bytes), from.name.slice(running.host.length + 1))).toBe(false);
      expect(await to.hasBlob(await push(to, bytes))).toBe(true);
    });

    test('a blob is deleted', async () => {
      const repository = fresh();
      const blob = await push(repository, randomBytes(1000, 5));
      await repository.deleteBlob(blob);
      expect(await repository.hasBlob(blob)).toBe(false);
    });

    test('a manifest is read by tag and digest, byte for byte', async () => {
      const repository = fresh();
      const descriptor = await image(repository, 6, 'v1');
      expect(await repository.resolve('v1')).toEqual(descriptor);
      expect(await repository.resolve(descriptor.digest)).toEqual(descriptor);
      const { bytes } = await repository.fetchManifest(descriptor);
      expect(digestOf(bytes)).toBe(descriptor.digest);
      expect((await repository.fetchManifest('v1')).descriptor).toEqual(descriptor);
    });

    test('an index, a Docker manifest and a manifest without mediaType can be pushed and read', async () => {
      const repository = fresh();
      const child = await image(repository, 7);
      const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_IMAGE_INDEX, manifests: [child] }));
      const config = await push(repository, EMPTY_BYTES);
      const docker = Buffer.from(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: DOCKER_MANIFEST,
          config: { ...config, mediaType: 'application/vnd.docker.container.image.v1+json' },
          layers: [],
        }),
      );
      const bare = Buffer.from(JSON.stringify({ schemaVersion: 2, config: EMPTY, layers: [EMPTY] }));
      for (const [bytes, mediaType, tag] of [
        [index, OCI_IMAGE_INDEX, 'index'],
        [docker, DOCKER_MANIFEST, 'docker'],
        [bare, OCI_IMAGE_MANIFEST, 'bare'],
      ] as const) {
        await repository.pushManifest(bytes, mediaType, { tag });
        const fetched = await repository.fetchManifest(tag);
        expect([tag, fetched.descriptor.mediaType, Buffer.from(fetched.bytes).equals(bytes)]).toEqual([
          tag,
          mediaType,
          true,
        ]);
      }
    });

    can('artifact manifest')('a manifest of the retired artifact kind, with a subject', async () => {
      const repository = fresh();
      const subject = await image(repository, 8);
      const artifact = {
        mediaType: OCI_ARTIFACT_MANIFEST,
        artifactType: 'application/x-retired',
        blobs: [EMPTY],
        subject,
      };
      const bytes = Buffer.from(JSON.stringify(artifact));
      const descriptor = await repository.pushManifest(bytes, OCI_ARTIFACT_MANIFEST);
      expect(Buffer.from((await repository.fetchManifest(descriptor)).bytes).equals(bytes)).toBe(true);
      expect(await repository.listReferrers(subject.digest)).toEqual([
        expect.objectContaining({ ...descriptor, artifactType: 'application/x-retired' }),
      ]);
    });

    can('sha512')('a blob by its sha512', async () => {
      const repository = fresh();
      const bytes = randomBytes(1000, 9);
      const blob = { ...blobOf(bytes), digest: digestOf(bytes, 'sha512') };
      await repository.pushBlob(blob, async function* () {
        await Promise.resolve();
        yield bytes;
      });
      expect((await readAll(await repository.openBlob(blob))).equals(bytes)).toBe(true);
    });

    test('referrers are listed and filtered, and deleted ones are not listed', async () => {
      const repository = fresh();
      const subject = await image(repository, 10, 'v1');
      expect(await repository.listReferrers(subject.digest)).toEqual([]);
      const types = ['application/x-1', 'application/x-2', 'application/x-3'];
      const attached: Descriptor[] = [];
      for (const type of types) attached.push(await attach(repository, subject, type));
      const listed = await repository.listReferrers(subject.digest);
      expect(new Set(listed.map(({ artifactType }) => artifactType))).toEqual(new Set(types));
      expect(listed.map(({ annotations }) => annotations?.['org.example.type'])).toEqual(
        listed.map(({ artifactType }) => artifactType),
      );
      const filtered = await repository.listReferrers(subject.digest, { artifactType: 'application/x-2' });
      expect(filtered.map(({ digest }) => digest)).toEqual([attached[1]?.digest]);
      expect((await repository.resolve('v1')).digest).toBe(subject.digest);
    });

    test('a deleted referrer is listed no more', async () => {
      const repository = fresh();
      const subject = await image(repository, 11, 'v1');
      const [first, second] = [
        await attach(repository, subject, 'application/x-1'),
        await attach(repository, subject, 'application/x-2'),
      ];
      await repository.deleteManifest(first.digest);
      expect((await repository.listReferrers(subject.digest)).map(({ digest }) => digest)).toEqual([second.digest]);
      await repository.deleteManifest(second.digest);
      expect(await repository.listReferrers(subject.digest)).toEqual([]);
      await expect(repository.resolve(first.digest)).rejects.toMatchObject({
        code: 'MANIFEST_UNKNOWN',
        notFound: true,
      });
    });

    can('concurrent referrers')('twenty referrers at once: none is lost', async () => {
      const repository = fresh();
      const subject = await image(repository, 12);
      const attached = await Promise.all(
        Array.from({ length: 20 }, (_, number) => attach(repository, subject, `application/x-${number}`)),
      );
      const listed = await repository.listReferrers(subject.digest);
      expect(listed.map(({ digest }) => digest).sort()).toEqual(attached.map(({ digest }) => digest).sort());
    });

    test('all pages of tags are listed, with and without digests', async () => {
      const repository = fresh();
      const { digest } = await image(repository, 13, 'v00');
      const { bytes } = await repository.fetchManifest(digest);
      const tags = Array.from({ length: 20 }, (_, number) => `v${String(number).padStart(2, '0')}`);
      for (const tag of tags) await repository.pushManifest(bytes, OCI_IMAGE_MANIFEST, { tag });
      expect((await all(repository.listTags())).sort()).toEqual(tags);
      const details = await all(repository.listTagDetails());
      expect(details.map(({ name }) => name).sort()).toEqual(tags);
      expect(new Set(details.map((tag) => tag.digest))).toEqual(new Set([digest]));
    });

    test('tags and manifests are listed by the time of their last change, or the registry is known to have no such lists', async () => {
      const repository = fresh();
      const digests: string[] = [];
      for (const [seed, tag] of [
        [16, 'b'],
        [17, 'a'],
      ] as const) {
        digests.unshift((await image(repository, seed, tag)).digest);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      const listed = async (): Promise<unknown> => {
        const tags = (await all(repository.listNewestTags())).flat();
        const manifests = (await all(repository.listNewestManifests())).flat();
        return [tags.map(({ name }) => name), manifests.map(({ digest }) => digest)];
      };
      if (peer.cannot?.includes('ACR lists') === true)
        await expect(listed()).rejects.toMatchObject({ code: 'NO_ACR_LISTS' });
      else expect(await listed()).toEqual([['a', 'b'], digests]);
    });

    can('tag pages')('tags after one', async () => {
      const repository = fresh();
      const { digest } = await image(repository, 14, 'a');
      const { bytes } = await repository.fetchManifest(digest);
      for (const tag of ['b', 'c']) await repository.pushManifest(bytes, OCI_IMAGE_MANIFEST, { tag });
      expect(await all(repository.listTags({ last: 'a' }))).toEqual(['b', 'c']);
    });

    can('catalog')('the catalog, and that the registry is there', async () => {
      await client.registry(running.host).checkAccess();
      const repository = fresh();
      await image(repository, 15, 'v1');
      expect(await all(client.registry(running.host).listRepositories())).toContain(
        repository.name.slice(running.host.length + 1),
      );
    });

    test('missing tags, manifests and blobs are reported as not found', async () => {
      const repository = fresh();
      const blob = blobOf(Buffer.from('nowhere'));
      await expect(repository.resolve('v1')).rejects.toMatchObject({ notFound: true });
      await expect(repository.fetchManifest('v1')).rejects.toMatchObject({ notFound: true });
      await expect(repository.fetchManifest(blob.digest)).rejects.toMatchObject({ notFound: true });
      await expect(repository.openBlob(blob)).rejects.toMatchObject({ notFound: true });
      expect(await repository.listReferrers(blob.digest)).toEqual([]);
    });
  });
}
