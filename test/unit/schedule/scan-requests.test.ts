import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RegistryOptions } from '../../../local/registry/options.js';
import { startRegistry, type RunningRegistry } from '../../../local/registry/server.js';
import { openDatabase, transaction } from '../../../local/registry/storage/database.js';
import { ManifestStore } from '../../../local/registry/storage/manifests.js';
import { anonymousCredentials, createRegistries, type Digest, type RegistryClient } from '../../../src/oci/index.js';
import { promotionId, type Rule } from '../../../src/rules/rule.js';
import { countStoreCalls } from '../../support/counted-store.js';
import { inSyncRow } from '../../support/in-sync.js';
import { rule } from '../../support/rules.fixture.js';
import { pushArtifact, pushImage } from '../../support/images.js';
import { scanAll, scanTick, type Scanned } from '../../support/scan-world.js';
import { newWorld, type World } from '../../support/world.js';

// The requests that the scans of a tick send to a registry over HTTP and to the tables.

const HOUR_MS = 3_600_000;
const FULL = process.env.FULL === '1';
const TAGS = FULL ? 2_000 : 500;
const REPOSITORIES = FULL ? 200 : 40;

let folder: string;
let registry: RunningRegistry;
let client: RegistryClient;
let world: World;
let which: Rule;
let storeCalls: string[];

async function start(options: Partial<RegistryOptions> = {}): Promise<void> {
  registry = await startRegistry({ ...options, dataDir: folder, anonymous: true });
  client = createRegistries({ credentials: anonymousCredentials });
}
async function stop(): Promise<void> {
  await client.close();
  await registry.close();
}

/** One image under all tags of these repositories on both sides; every promotion is in sync. */
async function prepare(
  repositories: readonly string[],
  tags: readonly string[],
  options: Partial<RegistryOptions> = {},
): Promise<void> {
  await start();
  const { name } = registry;
  which = rule({
    source: { registry: name, repositories: ['samples/**'] },
    destination: { reference: `${name}/staging/{repository}:{tag}` },
  });
  world = newWorld(which);
  const { store } = world;
  storeCalls = countStoreCalls(world);
  let digest: Digest | undefined;
  for (const repository of repositories.flatMap((each) => [each, `staging/${each}`]))
    ({ digest } = await pushImage(client.repository(name, repository), { tag: tags[0] ?? '' }));
  await stop();
  const database = openDatabase(folder);
  const manifests = new ManifestStore(database);
  transaction(database, () => {
    for (const repository of repositories.flatMap((each) => [each, `staging/${each}`])) {
      const stored = digest && manifests.get(repository, digest);
      if (stored === undefined) throw new Error(`nothing in ${repository}`);
      for (const tag of tags) manifests.put(repository, { ...stored, tag });
    }
  });
  database.close();
  await start({ ...options, port: registry.port });
  const counted: World['counted'] = (onRequest) => {
    const registries = client.counted(onRequest);
    return { registries, listing: registries };
  };
  const jobPolicy = { ...world.jobPolicy, allowedRegistries: [name] };
  Object.assign(world, { registries: client, listing: client, counted, jobPolicy });
  const at = world.now().toISOString();
  for (const repository of repositories) {
    for (const tag of tags) {
      const source = { registry: name, repository, tag };
      await store.insertPromotion(inSyncRow(which, source, digest ?? '', at));
    }
  }
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'scan-requests-'));
});
afterEach(async () => {
  await stop();
  await rm(folder, { recursive: true, force: true });
});

async function tick(): Promise<Scanned & { requests: number; storeRequests: number }> {
  const before = registry.log.length;
  storeCalls.length = 0;
  const scanned = await scanTick(world);
  const tables = storeCalls.filter((name) => name !== 'getNote' && name !== 'putNote');
  return { ...scanned, requests: registry.log.length - before, storeRequests: tables.length };
}

const report = (what: string, { requests, storeRequests }: { requests: number; storeRequests: number }): void =>
  void process.stdout.write(`${what}: ${requests} requests, ${storeRequests} of tables\n`);

test(`with ${TAGS} tags of one repository in sync, a quiet tick sends at most 6 requests`, async () => {
  await prepare(
    ['samples/app'],
    Array.from({ length: TAGS }, (_, index) => `v${index}`),
  );
  await scanAll(world);
  world.nowMs += 3 * HOUR_MS;
  const quiet = await tick();
  report(`${TAGS} tags`, quiet);
  expect(quiet).toMatchObject({ started: 0, isLeft: false, problems: [] });
  expect(quiet.requests).toBeLessThanOrEqual(6);
  expect(quiet.storeRequests).toBeLessThanOrEqual(6);
  // A full scan compares both sides, with one page each per hundred tags.
  world.nowMs += 3 * HOUR_MS;
  const full = await tick();
  report(`${TAGS} tags, full scan`, full);
  expect(full).toMatchObject({ started: 0, checked: TAGS, problems: [] });
  expect(full.requests).toBeLessThanOrEqual(10 + TAGS / 50);
  expect(full.storeRequests).toBeLessThanOrEqual(15 + (3 * TAGS) / 100);
  await pushImage(client.repository(registry.name, 'staging/samples/app'), { tag: 'v377', content: 'by hand' });
  world.nowMs += 6 * HOUR_MS;
  expect(await tick()).toMatchObject({ started: 1 });
}, 300_000);

test(`with ${REPOSITORIES} repositories, a quiet tick sends at most 2.25 requests for each, within two minutes at a share of 1.25 for each`, async () => {
  await prepare(
    Array.from({ length: REPOSITORIES }, (_, index) => `samples/app${index}`),
    ['v1'],
  );
  // The default is 250, for 200 repositories.
  world.scheduleRequests = { scan: (250 * REPOSITORIES) / 200, resync: 0 };
  await scanAll(world);
  world.nowMs += 3 * HOUR_MS;
  const dueMs = world.nowMs;
  const before = registry.log.length;
  storeCalls.length = 0;
  let minutes = 0;
  for (let isLeft = true; isLeft; minutes += 1) {
    const scanned = await scanTick(world, { dueMs, isBegin: minutes === 0 });
    expect(scanned).toMatchObject({ started: 0, problems: [] });
    ({ isLeft } = scanned);
    world.nowMs += 60_000;
  }
  const requests = registry.log.length - before;
  report(`${REPOSITORIES} repositories, ${minutes} minutes`, { requests, storeRequests: storeCalls.length });
  expect(requests).toBeLessThanOrEqual(2.25 * REPOSITORIES);
  expect(minutes).toBeLessThanOrEqual(2);
  expect(storeCalls.length).toBeLessThanOrEqual(30 + 2 * REPOSITORIES);
}, 300_000);

test('a new tag, a new referrer and a tag moved back cost only their own requests', async () => {
  await prepare(
    ['samples/app'],
    Array.from({ length: 300 }, (_, index) => `v${index}`),
  );
  const source = client.repository(registry.name, 'samples/app');
  const image = await source.resolve('v1');
  await world.store.addToSubjectIndex(
    { registry: registry.name, repository: 'samples/app', digest: image.digest },
    promotionId(which.name, { registry: registry.name, repository: 'samples/app', tag: 'v1' }),
    { root: image.digest, at: world.now().toISOString() },
  );
  await scanAll(world);
  world.nowMs += 3 * HOUR_MS;
  await pushImage(source, { tag: 'new', content: 'new' });
  expect(await tick()).toMatchObject({ started: 1, problems: [] });
  world.nowMs += 5 * 60_000;
  await pushArtifact(source, 'test/scan', { subject: image });
  const referrer = await tick();
  expect(referrer).toMatchObject({ started: 1, problems: [] });
  world.nowMs += 5 * 60_000;
  const { bytes, descriptor } = await source.fetchManifest(image);
  await source.pushManifest(bytes, descriptor.mediaType, { tag: 'new' });
  expect(await tick()).toMatchObject({ problems: [] });
  world.nowMs += 5 * 60_000;
  expect((await tick()).requests).toBeLessThanOrEqual(6);
}, 300_000);

test('for a registry without ACR lists, each tag is read on both sides at each time of the schedule', async () => {
  const tags = Array.from({ length: 50 }, (_, index) => `v${index}`);
  await prepare(['samples/app'], tags, { quirks: { noAcrLists: true } });
  await scanAll(world);
  world.nowMs += 5 * 60_000;
  const quiet = await tick();
  report('50 tags without lists', quiet);
  expect(quiet).toMatchObject({ started: 0, checked: tags.length, problems: [] });
  expect(quiet.requests).toBeLessThan(2 * tags.length + 10);
  await pushImage(client.repository(registry.name, 'staging/samples/app'), { tag: 'v7', content: 'by hand' });
  world.nowMs += 5 * 60_000;
  expect(await tick()).toMatchObject({ started: 1 });
}, 300_000);
