import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RegistryOptions } from '../../../local/registry/options.js';
import { startRegistry, type RunningRegistry } from '../../../local/registry/server.js';
import { openDatabase, transaction } from '../../../local/registry/storage/database.js';
import { ManifestStore } from '../../../local/registry/storage/manifests.js';
import { anonymousCredentials, createRegistries, type RegistryClient } from '../../../src/oci/index.js';
import { promotionId } from '../../../src/rules/promotion-id.js';
import { fingerprint } from '../../../src/rules/fingerprint.js';
import type { Rule } from '../../../src/rules/rule.js';
import { walkScheduleStep, type Walked } from '../../../src/schedule/walk-schedule.js';
import { rule } from '../../support/rules.fixture.js';
import { pushImage } from '../../support/images.js';
import { putInSync } from '../../support/in-sync.js';
import { newCall, newWorld, type World } from '../../support/world.js';

// What a tick of the schedule asks of a registry that speaks HTTP, and of the tables.

const TAGS = Array.from({ length: 2_000 }, (_, index) => `v${index}`);
const SOURCE = 'samples/app';
const STAGING = 'staging/samples/app';

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

/** One image under all the tags at both ends, SBOM and signatures attached; every promotion in sync. */
async function prepare(tags: readonly string[], options: Partial<RegistryOptions> = {}): Promise<void> {
  await start();
  const { name } = registry;
  which = rule({
    source: { registry: name, repositories: ['samples/**'] },
    destination: { reference: `${name}/staging/{repository}:{tag}` },
  });
  world = newWorld(which);
  storeCalls = [];
  const { store } = world;
  world.store = new Proxy(store, {
    get: (target, key: keyof typeof store) => {
      storeCalls.push(key);
      return target[key];
    },
  });
  Object.assign(world, { registries: client, listing: client });
  const source = { registry: name, repository: SOURCE, tag: tags[0] ?? '' };
  const image = await pushImage(client.repository(name, SOURCE), { tag: source.tag });
  await putInSync(world, which, source);
  await stop();
  const database = openDatabase(folder);
  const manifests = new ManifestStore(database);
  transaction(database, () => {
    for (const repository of [SOURCE, STAGING]) {
      const stored = manifests.get(repository, image.digest);
      if (stored === undefined) throw new Error(`nothing in ${repository}`);
      for (const tag of tags) manifests.put(repository, { ...stored, tag });
    }
  });
  database.close();
  await start({ ...options, port: registry.port });
  Object.assign(world, { registries: client, listing: client });
  for (const tag of tags.slice(1)) {
    const row = { registry: name, repository: SOURCE, tag };
    await store.insertPromotion({
      id: promotionId(which.name, row),
      rule: which.name,
      source: row,
      destination: `${name}/${STAGING}:${tag}`,
      wanted: 1,
      answered: 1,
      wantedAt: world.now().toISOString(),
      state: 'in_sync',
      runOpen: false,
      runBegun: true,
      failures: 0,
      last: {
        outcome: 'promoted',
        digest: image.digest,
        runId: 'r',
        finishedAt: world.now().toISOString(),
        fingerprint: fingerprint(which),
      },
    });
  }
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'scan-repository-'));
});
afterEach(async () => {
  await stop();
  await rm(folder, { recursive: true, force: true });
});

async function tick(): Promise<Walked & { requests: number; storeRequests: number }> {
  const before = registry.log.length;
  storeCalls.length = 0;
  const walked = await walkScheduleStep(world, { cursor: null, started: 0 }, newCall());
  return { ...walked, requests: registry.log.length - before, storeRequests: storeCalls.length };
}

test('2,000 tags of one repository that are in sync: 41 requests at most, and no run', async () => {
  await prepare(TAGS);
  const runs = world.engine.starts.length;
  // The first tick reads what there is when the rule is first read.
  await tick();
  for (let ticks = 0; ticks < 2; ticks += 1) {
    const walked = await tick();
    expect(walked).toMatchObject({ cursor: null, started: 0, looked: TAGS.length, problems: [] });
    const { requests, storeRequests } = walked;
    process.stdout.write(`${TAGS.length} in sync: ${requests} requests, ${storeRequests} of tables\n`);
    expect(requests).toBeLessThanOrEqual(41);
    expect(storeRequests).toBeLessThanOrEqual(60);
  }
  expect(world.engine.starts).toHaveLength(runs);
  // One that was moved by hand is found, and costs two requests more at the most.
  const destination = client.repository(registry.name, STAGING);
  await pushImage(destination, { tag: 'v777', content: 'by hand' });
  const moved = await tick();
  expect(moved).toMatchObject({ started: 1 });
  expect(moved.requests).toBeLessThanOrEqual(43);
}, 300_000);

test('a registry without a list of tags with digests: each tag is asked for, and nothing else changes', async () => {
  const tags = TAGS.slice(0, 150);
  await prepare(tags, { quirks: { noAcrLists: true } });
  await tick();
  const { requests, ...walked } = await tick();
  expect(walked).toMatchObject({ started: 0, looked: tags.length, problems: [] });
  // One by one at both ends, and no list of the destination, which may be long.
  expect(requests).toBeGreaterThan(2 * tags.length);
  expect(requests).toBeLessThan(2 * tags.length + 30);
  expect(registry.log.filter(({ path }) => path.startsWith(`/v2/${STAGING}/tags/list`)).length).toBeLessThan(5);
  await pushImage(client.repository(registry.name, STAGING), { tag: 'v77', content: 'by hand' });
  expect(await tick()).toMatchObject({ started: 1 });
}, 300_000);
