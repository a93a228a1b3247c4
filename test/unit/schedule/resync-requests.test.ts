import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRegistry, type RunningRegistry } from '../../../local/registry/server.js';
import { anonymousCredentials, createRegistries, type RegistryClient } from '../../../src/oci/index.js';
import type { Rule } from '../../../src/rules/rule.js';
import { countStoreCalls } from '../../support/counted-store.js';
import { rule } from '../../support/rules.fixture.js';
import { pushImage } from '../../support/images.js';
import { inSyncRow, putInSync } from '../../support/in-sync.js';
import { RESYNC_PAUSE_MS, resyncTick } from '../../support/resync-world.js';
import { REGISTRY, SOURCE, newWorld, rowOf, type World } from '../../support/world.js';

// The requests that resync sends to registries and tables. The figures are in docs/decisions/schedule.md.

const FULL = process.env.FULL === '1';
/** Requests to compare one image with an SBOM and signatures. */
const LOOK_REQUESTS = 13;
/** With ten promotions each; in the full run, what must be compared within 24 hours. */
const REPOSITORIES = FULL ? 200 : 20;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

describe('with a registry over HTTP', () => {
  let folder: string;
  let registry: RunningRegistry;
  let client: RegistryClient;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'resync-requests-'));
    registry = await startRegistry({ dataDir: folder, anonymous: true });
    client = createRegistries({ credentials: anonymousCredentials });
  });
  afterEach(async () => {
    await client.close();
    await registry.close();
    await rm(folder, { recursive: true, force: true });
  });

  test(`comparing one image with an SBOM and signatures sends ${LOOK_REQUESTS} requests, and each is counted`, async () => {
    const { name } = registry;
    const which = rule({
      source: { registry: name, repositories: ['samples/**'] },
      destination: { reference: `${name}/staging/{repository}:{tag}` },
    });
    const world = newWorld(which);
    Object.assign(world, { registries: client, listing: client });
    world.counted = (onRequest) => {
      const counted = client.counted(onRequest);
      return { registries: counted, listing: counted };
    };
    const source = { registry: name, repository: SOURCE.repository, tag: 'v1' };
    await pushImage(client.repository(name, source.repository), { tag: source.tag });
    await putInSync(world, which, source);
    world.nowMs += RESYNC_PAUSE_MS;
    const before = registry.log.length;
    const { checked, started, share } = await resyncTick(world);
    expect([checked, started]).toEqual([1, 0]);
    expect(registry.log.length - before).toBe(LOOK_REQUESTS);
    expect(share.asked(name)).toBe(LOOK_REQUESTS);
  });
});

describe('with a registry in memory', () => {
  let world: World;
  let which: Rule;
  /** Calls of the store. */
  let asked: string[];

  /** One image under many tags in each repository, on both sides; every promotion is in sync. */
  async function prepare(repositories: number, tags: number): Promise<void> {
    which = rule();
    world = newWorld(which);
    for (let index = 0; index < repositories; index += 1) {
      const repository = `samples/app-${index}`;
      const source = world.registries.repository(REGISTRY, repository);
      const image = await pushImage(source, { tag: SOURCE.tag, content: repository });
      const id = await putInSync(world, which, { ...SOURCE, repository });
      await world.store.removePromotion(await rowOf(world, id));
      const destination = world.registries.repository(REGISTRY, `staging/${repository}`);
      for (let tag = index * tags; tag < (index + 1) * tags; tag += 1) {
        for (const { tags: all } of [source, destination]) all.set(`t${tag}`, image.digest);
        // Each tag was promoted just after the previous one.
        const at = new Date(world.nowMs - HOUR_MS + tag * 10).toISOString();
        const of = { registry: REGISTRY, repository, tag: `t${tag}` };
        await world.store.insertPromotion(inSyncRow(which, of, image.digest, at, `run-${tag}`));
      }
    }
    asked = countStoreCalls(world);
  }

  test(`${REPOSITORIES * 10} promotions of single images are compared at 25 requests a minute: 2,000 within 24 hours`, async () => {
    const promotions = REPOSITORIES * 10;
    await prepare(REPOSITORIES, 10);
    expect(world.scheduleRequests.resync).toBe(25);
    let [requests, most, checked, minutes] = [0, 0, 0, 0];
    for (; checked < promotions && minutes < 24 * 60; minutes += 1) {
      world.nowMs += MINUTE_MS;
      const scan = await resyncTick(world);
      checked += scan.checked;
      requests += scan.share.asked(REGISTRY);
      most = Math.max(most, scan.share.asked(REGISTRY));
    }
    process.stdout.write(`resync: ${checked} promotions in ${minutes} minutes, ${requests} requests\n`);
    expect(checked).toBe(promotions);
    expect(requests).toBe(promotions * LOOK_REQUESTS);
    // 17 hours and 20 minutes for 2,000.
    expect(minutes).toBe((promotions * LOOK_REQUESTS) / 25);
    expect(most).toBeLessThanOrEqual(2 * LOOK_REQUESTS);
    const untouched = (await world.store.listResync({ source: REGISTRY, destination: REGISTRY }, 'all', 1))[0];
    expect(untouched?.resync?.at).toBeDefined();
  }, 240_000);

  test.each([200, FULL ? 100_000 : 2_000])(
    'the table requests of a tick over %d promotions depend only on how many are compared',
    async (promotions) => {
      await prepare(1, promotions);
      await resyncTick(world);
      asked.length = 0;
      world.nowMs += MINUTE_MS;
      const { checked } = await resyncTick(world);
      expect(checked).toBeGreaterThan(0);
      expect(checked).toBeLessThanOrEqual(2);
      // Two requests of the tick, two lists, and for each comparison two reads and two writes.
      process.stdout.write(
        `resync over ${promotions} promotions: ${asked.length} table requests, ${checked} compared\n`,
      );
      expect(asked.length).toBeLessThanOrEqual(4 + 4 * checked);
      expect(asked.filter((name) => name === 'listResync')).toHaveLength(2);
      // Nothing is due: two requests of the tick, and two lists.
      world.nowMs -= 2 * HOUR_MS;
      asked.length = 0;
      expect((await resyncTick(world)).checked).toBe(0);
      expect(asked.length).toBeLessThanOrEqual(4);
    },
    240_000,
  );
});
