import { beforeEach, describe, expect, test } from '@jest/globals';
import { Shares } from '../../../src/schedule/request-shares.js';
import { pushImage } from '../../support/images.js';
import { REGISTRY, SOURCE, newWorld, type World } from '../../support/world.js';

const OTHER = 'other.azurecr.io';
let world: World;

beforeEach(async () => {
  world = newWorld();
  world.scheduleRequests = { scan: 10, resync: 4 };
  for (const registry of [REGISTRY, OTHER]) {
    await pushImage(world.registries.repository(registry, SOURCE.repository), { tag: SOURCE.tag });
  }
});

/** One tick. @returns the requests left when it started */
async function tick(name: 'scan' | 'resync', requests: number, registry = REGISTRY): Promise<number> {
  const shares = await Shares.open(world);
  const share = shares.of(name);
  const left = share.left(registry);
  const { registries } = share.counted();
  for (let made = 0; made < requests; made += 1) {
    await registries.repository(registry, SOURCE.repository).resolve(SOURCE.tag);
  }
  expect(share.asked(registry)).toBe(requests);
  await shares.close();
  return left;
}
const ticks = async (name: 'scan' | 'resync', ...requests: number[]): Promise<number[]> => {
  const left: number[] = [];
  for (const made of requests) left.push(await tick(name, made));
  return left;
};

test('each share counts its requests by registry', async () => {
  const shares = await Shares.open(world);
  const [scan, resync] = [shares.of('scan'), shares.of('resync')];
  await scan.counted().registries.repository(REGISTRY, SOURCE.repository).resolve(SOURCE.tag);
  expect([scan.left(REGISTRY), scan.left(OTHER), resync.left(REGISTRY)]).toEqual([9, 10, 4]);
});

test('each page of a list or catalog counts as a request', async () => {
  const source = world.registries.repository(REGISTRY, SOURCE.repository);
  const digest = (await source.resolve(SOURCE.tag)).digest;
  for (let index = 0; index < 250; index += 1) source.tags.set(`t${index}`, digest);
  const share = (await Shares.open(world)).of('scan');
  const { listing } = share.counted();
  for await (const tag of listing.repository(REGISTRY, SOURCE.repository).listTagDetails()) void tag;
  expect(share.asked(REGISTRY)).toBe(3);
  for await (const name of listing.registry(REGISTRY).listRepositories()) void name;
  expect(share.asked(REGISTRY)).toBe(4);
});

test('a request that fails counts', async () => {
  const share = (await Shares.open(world)).of('scan');
  const { registries } = share.counted();
  await expect(registries.repository(REGISTRY, SOURCE.repository).resolve('gone')).rejects.toMatchObject({
    code: 'MANIFEST_UNKNOWN',
  });
  expect(share.left(REGISTRY)).toBe(9);
});

describe('from tick to tick', () => {
  test('requests beyond the share are deducted later, so that the share holds on average', async () => {
    expect(await ticks('resync', 6, 3, 4, 4)).toEqual([4, 2, 3, 3]);
    // One comparison is three requests; no comparison begins when no request is left.
    let asked = 0;
    for (let count = 0; count < 60; count += 1) {
      const looks = Math.ceil((await Shares.open(world)).of('resync').left(REGISTRY) / 3);
      await tick('resync', 3 * looks);
      asked += 3 * looks;
    }
    expect(asked / 60).toBeCloseTo(4, 1);
  });

  test('unused requests do not carry over to the next tick', async () => {
    expect(await ticks('scan', 0, 0, 1, 0)).toEqual([10, 10, 10, 10]);
  });

  test('a debt belongs to one share and one registry and is at most ten minutes’ worth', async () => {
    expect(await ticks('scan', 1000)).toEqual([10]);
    expect(await tick('resync', 0)).toBe(4);
    expect(await tick('scan', 0, OTHER)).toBe(10);
    const left = await ticks('scan', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    expect(left[0]).toBeGreaterThanOrEqual(-90);
    expect(left.at(-1)).toBe(10);
  });

  test('a tick without a debt writes nothing', async () => {
    const putNote = world.store.putNote.bind(world.store);
    let writes = 0;
    world.store.putNote = async (...note) => {
      writes += 1;
      return putNote(...note);
    };
    await ticks('scan', 3, 10);
    expect(writes).toBe(0);
    await ticks('scan', 11, 1, 0);
    // One write for the debt and one when it was paid.
    expect(writes).toBe(2);
  });

  test('a note of another version counts as no debt', async () => {
    await world.store.putNote('shares', '{"scan":{"r":"many"}}', undefined);
    expect(await tick('scan', 0)).toBe(10);
  });
});
