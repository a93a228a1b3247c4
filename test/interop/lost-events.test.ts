import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRegistry } from '../../local/registry/server.js';
import { openDatabase, transaction } from '../../local/registry/storage/database.js';
import { ManifestStore } from '../../local/registry/storage/manifests.js';
import { createStorage } from '../../src/azure/storage.js';
import {
  anonymousCredentials,
  createRegistries,
  type Descriptor,
  type Digest,
  type RegistryClient,
  type RegistryRepository,
} from '../../src/oci/index.js';
import { pushArtifact, pushImage } from '../support/images.js';
import { ending, startEverything, until, type Everything } from '../support/stack/everything.js';
import { readJsonLines } from '../support/stack/programs.js';

// No event arrives: the schedule finds by ACR's lists what changed, and costs little if nothing did.

const HOUR_MS = 3_600_000;
/** One kind of change by default; the full run has all. */
const FULL = process.env.FULL === '1';
const REPOSITORIES = FULL ? 200 : 5;
const TAGS = FULL ? 2_000 : 100;
/** A tick and a run, on a busy machine. */
const LONG_MS = 240_000;

let dataDir: string;
let up: Everything;
let client: RegistryClient;
let source: RegistryRepository;
let staging: RegistryRepository;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'acr-promoter-lost-'));
  await fill(join(dataDir, 'registry-source'));
  up = await startEverything({
    dataDir,
    anonymous: true,
    schedule: '*/5 * * * * *',
    // The first scan of all repositories is to take no minutes; a quiet tick is far below the default.
    settings: { SCAN_REQUESTS: '5000' },
    args: ['--source-quirks', 'loseEvents'],
    rules: (registries) => ({
      rules: [
        {
          name: 'staging',
          existing: 'ignore',
          source: { registry: registries.source, repositories: ['apps/**'] },
          sbom: { formats: [] },
          sign: [],
          destination: { reference: `${registries.staging}/staging/{repository}:{tag}` },
        },
      ],
    }),
  });
  client = createRegistries({ credentials: anonymousCredentials });
  source = client.repository(up.source, 'apps/app');
  staging = client.repository(up.staging, 'staging/apps/app');
  await up.nextScan();
}, LONG_MS);

afterAll(async () => {
  await client?.close();
  await up?.stop();
  await rm(dataDir, { recursive: true, force: true });
}, LONG_MS);

/** One repository with many tags and many repositories with one, all of them hours old. */
async function fill(folder: string): Promise<void> {
  const registry = await startRegistry({ dataDir: folder, anonymous: true });
  const registries = createRegistries({ credentials: anonymousCredentials });
  const names = ['apps/many', ...Array.from({ length: REPOSITORIES }, (_, index) => `apps/one-${index}`)];
  const { digest } = await pushImage(registries.repository(registry.name, 'apps/many'), { tag: 'v0' });
  await registries.close();
  await registry.close();
  const database = openDatabase(folder);
  const manifests = new ManifestStore(database);
  const stored = manifests.get('apps/many', digest);
  if (stored === undefined) throw new Error('nothing was pushed');
  transaction(database, () => {
    const times = Array.from({ length: TAGS }, (_, index) => new Date(Date.now() - 9 * HOUR_MS + index * 1_000));
    manifests.removeAll('apps/many');
    for (const [index, at] of times.entries()) {
      manifests.put('apps/many', { ...stored, tag: `v${index}` }, at.toISOString());
      const one = names[index + 1];
      if (one !== undefined) manifests.put(one, { ...stored, tag: 'v1' }, at.toISOString());
    }
  });
  database.close();
}

/** What the source was asked so far, by repository. */
async function asked(): Promise<{ all: number; many: number }> {
  const log = await readJsonLines(join(dataDir, 'registry-source', 'requests.jsonl'));
  return { all: log.length, many: log.filter(({ path }) => String(path).includes('/apps/many/')).length };
}

const digestAt = async (repository: RegistryRepository, tag: string): Promise<Digest | undefined> =>
  await repository.resolve(tag).then(
    ({ digest }) => digest,
    () => undefined,
  );

/** Waits until the destination has this digest under the tag. */
async function arrives(tag: string, digest: Digest): Promise<void> {
  await until(`${tag} at the destination`, async () => ((await digestAt(staging, tag)) === digest ? true : undefined));
}

async function put(at: RegistryRepository, tag: string, { mediaType, digest }: Descriptor): Promise<void> {
  const { bytes } = await at.fetchManifest(digest);
  await at.pushManifest(bytes, mediaType, { tag });
}

if (FULL) {
  test(
    'a quiet tick asks 6 times at most for 2,000 tags, and 450 times for 200 repositories',
    async () => {
      // What was there at first is recorded, and is not promoted.
      let tick = { all: Infinity, many: Infinity };
      for (let ticks = 0; tick.many > 6 || tick.all > 456; ticks += 1) {
        expect([ticks, tick]).toEqual([Math.min(ticks, 5), tick]);
        const before = await asked();
        await up.nextScan();
        const after = await asked();
        tick = { all: after.all - before.all, many: after.many - before.many };
      }
      const before = await asked();
      await up.nextScan();
      const after = await asked();
      const quiet = { all: after.all - before.all, many: after.many - before.many };
      process.stdout.write(`a quiet tick: ${quiet.all} requests, ${quiet.many} of them for ${TAGS} tags\n`);
      // Fewer, and nobody looked.
      expect(quiet.many).toBeGreaterThanOrEqual(2);
      expect(quiet.many).toBeLessThanOrEqual(6);
      expect(quiet.all).toBeGreaterThanOrEqual(2 * REPOSITORIES);
      expect(quiet.all).toBeLessThanOrEqual(450 + 6);
      expect(await up.promotion('apps/many', 'v0')).toBeUndefined();
    },
    10 * 60_000,
  );
}

test(
  'a push whose event was lost is promoted after the next tick',
  async () => {
    const since = Date.now();
    const images = [
      ['v1', await pushImage(source, { tag: 'v1', content: 'first' })],
      ['v2', await pushImage(source, { tag: 'v2', content: 'another' })],
    ] as const;
    await up.nextScan();
    for (const [tag, { digest }] of images) {
      expect(ending((await up.ended('apps/app', tag, since)).last)).toMatchObject({ outcome: 'promoted', digest });
      expect(await digestAt(staging, tag)).toBe(digest);
    }
  },
  LONG_MS,
);

if (FULL) {
  test(
    'a moved tag, a referrer and a tag moved back, all without events, are promoted after the next tick',
    async () => {
      const first = await source.resolve('v1');
      const subject = await source.resolve('v2');
      const second = await pushImage(source, { tag: 'v1', content: 'second' });
      const referrer = await pushArtifact(source, 'scan/example', { subject });
      await up.nextScan();
      await arrives('v1', second.digest);
      await until('the referrer at the destination', async () => {
        const found = await staging.listReferrers(subject.digest);
        return found.some(({ digest }) => digest === referrer.digest) ? true : undefined;
      });
      await put(source, 'v1', first);
      await up.nextScan();
      await arrives('v1', first.digest);
    },
    LONG_MS,
  );

  test(
    'the next full scan restores a destination tag that was deleted or moved',
    async () => {
      const stranger = await pushImage(staging, { tag: 'stranger', content: 'stranger' });
      await put(staging, 'v1', stranger);
      const deleted = await fetch(`http://${up.staging}/v2/staging/apps/app/manifests/v2`, { method: 'DELETE' });
      expect(deleted.status).toBe(202);
      await ageFullScans();
      await up.nextScan();
      for (const tag of ['v1', 'v2']) await arrives(tag, (await source.resolve(tag)).digest);
    },
    LONG_MS,
  );
}

/** As if the last full scans had been hours ago. */
async function ageFullScans(): Promise<void> {
  const connectionString = (await readFile(join(dataDir, 'storage-connection-string.txt'), 'utf8')).trim();
  const { runs: store } = createStorage({ connectionString });
  const longAgo = new Date(Date.now() - 7 * HOUR_MS).toISOString();
  await until('the rows to be written', async () => {
    const { items } = await store.listScanRows();
    const own = items.filter(({ value }) => value.repository === 'apps/app');
    const written = await Promise.all(
      own.map(({ value, version }) =>
        store.replaceScanRow({ ...value, state: { ...value.state, lastFullScanAt: longAgo } }, version),
      ),
    );
    return own.length > 0 && written.every((each) => each !== undefined) ? true : undefined;
  });
}
