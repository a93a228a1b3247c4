import { beforeEach, describe, expect, test } from '@jest/globals';
import { copying, endRuns, pushTo, scanAll, scanRows, scanTick, startedTags } from '../../support/scan-world.js';
import { putTags } from '../../support/many-tags.js';
import { PromoterError, type TagDetails } from '../../../src/oci/index.js';
import { incrementGeneration } from '../../../src/rows/generation.js';
import { REGISTRY, SOURCE, newWorld, type World } from '../../support/world.js';

// Rules with `existing: ignore`.

const MANY = process.env.FULL === '1' ? 100_000 : 10_000;

let world: World;
const ignoring = (changes: Record<string, unknown> = {}) => copying({ existing: 'ignore', ...changes });

beforeEach(() => {
  world = newWorld(ignoring());
});

const nextTime = (): void => {
  world.nowMs += 5 * 60_000;
};

describe.each([true, false])('with ACR lists: %s', (hasAcrLists) => {
  beforeEach(() => {
    world.hasAcrLists = hasAcrLists;
  });

  test('existing tags are not promoted, tags pushed later are', async () => {
    await pushTo(world, 'samples/app', 'v1');
    await pushTo(world, 'samples/app', 'v2');
    expect(await scanAll(world)).toMatchObject({ started: 0, problems: [] });
    nextTime();
    await pushTo(world, 'samples/app', 'v2', 'moved');
    await pushTo(world, 'samples/app', 'v3');
    await scanAll(world);
    expect(await startedTags(world)).toEqual(['samples/app:v2', 'samples/app:v3']);
  });

  test('every tag of a repository created later is promoted', async () => {
    await pushTo(world, 'samples/app', 'v1');
    await scanAll(world);
    nextTime();
    await pushTo(world, 'samples/new', 'v1');
    await scanAll(world);
    expect(await startedTags(world)).toEqual(['samples/new:v1']);
  });

  test('every tag of the first repository of a rule that matched none is promoted', async () => {
    await scanAll(world);
    nextTime();
    await pushTo(world, 'samples/new', 'v1');
    await scanAll(world);
    expect(await startedTags(world)).toEqual(['samples/new:v1']);
  });

  test('tags that a rule matches only after an edit of its source count as existing', async () => {
    world.ruleList = [ignoring({ source: { registry: REGISTRY, repositories: ['samples/app'], tags: ['v*'] } })];
    for (const tag of ['v1', 'w1']) await pushTo(world, 'samples/app', tag);
    await pushTo(world, 'samples/other', 'v1');
    await scanAll(world);
    nextTime();
    world.ruleList = [ignoring({ source: { registry: REGISTRY, repositories: ['samples/*'], tags: ['*'] } })];
    expect(await scanAll(world)).toMatchObject({ started: 0, problems: [] });
    nextTime();
    await pushTo(world, 'samples/other', 'v2');
    await pushTo(world, 'samples/app', 'w2');
    await scanAll(world);
    expect(await startedTags(world)).toEqual(['samples/app:w2', 'samples/other:v2']);
  });

  test('changing a rule to `existing: promote` promotes all tags', async () => {
    for (const tag of ['v1', 'v2']) await pushTo(world, 'samples/app', tag);
    await scanAll(world);
    nextTime();
    world.ruleList = [copying()];
    expect(await scanAll(world)).toMatchObject({ started: 2 });
    expect(world.documents.kept.size).toBe(1);
  });

  test('an existing tag that is promoted on request stays in sync from then on', async () => {
    await pushTo(world, 'samples/app', 'v1');
    await scanAll(world);
    await incrementGeneration(world, ignoring(), SOURCE, { kind: 'http' });
    await endRuns(world, { outcome: 'promoted' });
    world.nowMs += 6 * 3_600_000;
    // The destination was emptied.
    expect(await scanAll(world)).toMatchObject({ started: 1 });
  });
});

test('existing tags are recorded while promotions are paused', async () => {
  world.paused = true;
  await pushTo(world, 'samples/app', 'v1');
  await scanAll(world);
  nextTime();
  await pushTo(world, 'samples/app', 'v2');
  world.paused = false;
  await scanAll(world);
  expect(await startedTags(world)).toEqual(['samples/app:v2']);
});

test('a repository that cannot be recorded starts no run and does not delay the others', async () => {
  await pushTo(world, 'samples/app', 'v1');
  await pushTo(world, 'samples/secret', 'v1');
  world.listingFaults.set(`${REGISTRY}/samples/secret`, new PromoterError('DENIED', 'not for you'));
  expect(await scanTick(world)).toMatchObject({ started: 0, problems: [expect.stringContaining('DENIED')] });
  nextTime();
  await pushTo(world, 'samples/app', 'v2');
  await pushTo(world, 'samples/secret', 'v2');
  await scanAll(world);
  expect(await startedTags(world)).toEqual(['samples/app:v2']);
});

test('of 5,000 tags, exactly the 100 that are pushed during the recording are promoted', async () => {
  const image = await pushTo(world, 'samples/app', 'v0000');
  const { tags } = world.registries.repository(REGISTRY, 'samples/app');
  putTags(tags, image.digest, 5_000);
  const pushed = Array.from({ length: 100 }, (_, index) => `v${String(index * 50).padStart(4, '0')}-new`);
  const left = [...pushed];
  const list = world.listing.repository;
  world.listing.repository = (registry, name) => {
    const repository = list(registry, name);
    const listTagDetails: typeof repository.listTagDetails = async function* (options) {
      let read = 0;
      for await (const each of repository.listTagDetails(options)) {
        // Tags are pushed while the list is read, before and after the current position; their events are lost.
        const tag = read % 25 === 0 ? left.splice((read * 7) % Math.max(left.length, 1), 1)[0] : undefined;
        if (tag !== undefined) {
          world.nowMs += 100;
          tags.set(tag, image.digest);
        }
        read += 1;
        yield each;
      }
    };
    return { ...repository, listTagDetails };
  };
  await scanAll(world);
  expect(left).toEqual([]);
  nextTime();
  await scanAll(world);
  expect(await startedTags(world)).toEqual(pushed.map((tag) => `samples/app:${tag}`));
  await endRuns(world, { outcome: 'promoted' });
  world.nowMs += 6 * 3_600_000;
  await scanAll(world);
  expect(new Set(await startedTags(world)).size).toBe(100);
}, 120_000);

test(`${MANY} tags are recorded and scanned over several minutes, a page and a part at a time`, async () => {
  // The default is 250, for 100,000 tags.
  world.scheduleRequests = { scan: MANY / 400, resync: 0 };
  const { digest } = await pushTo(world, 'samples/app', 'v000000');
  const list = world.listing.repository;
  let longest = 0;
  world.listing.repository = (registry, name) => {
    const listTagDetails = async function* ({ last = '' }: { last?: string } = {}): AsyncGenerator<TagDetails> {
      for (let index = last === '' ? 0 : Number(last.slice(1)) + 1; index < MANY; index += 1)
        yield { name: `v${String(index).padStart(6, '0')}`, digest, updatedAt: new Date(0).toISOString() };
    };
    return name === 'samples/app' ? { ...list(registry, name), listTagDetails } : list(registry, name);
  };
  const put = world.documents.putIfAbsent.bind(world.documents);
  world.documents.putIfAbsent = (container, name, bytes) => {
    longest = Math.max(longest, bytes.length);
    return put(container, name, bytes);
  };
  const fromMs = world.nowMs;
  expect(await scanAll(world)).toMatchObject({ started: 0, isLeft: false, problems: [] });
  const minutes = (world.nowMs - fromMs) / 60_000;
  process.stdout.write(
    `${MANY} tags: recorded and scanned in ${minutes} minutes, a part of ${longest} bytes at most\n`,
  );
  // A hundred tags to a page, recorded and scanned: eight minutes of requests.
  expect(minutes).toBeGreaterThanOrEqual(7);
  expect(minutes).toBeLessThanOrEqual(15);
  const [row] = await scanRows(world);
  expect(row?.state).toMatchObject({ existing: { isWhole: true }, failures: 0 });
  expect(row?.state.existing?.parts).toBeGreaterThanOrEqual(MANY / 5_000);
  expect(longest).toBeLessThan(1_000_000);
}, 120_000);

test('the recording continues where it stopped, and no run starts until it is complete', async () => {
  const image = await pushTo(world, 'samples/app', 'v0000');
  putTags(world.registries.repository(REGISTRY, 'samples/app').tags, image.digest, 1_000);
  world.scheduleRequests = { scan: 4, resync: 0 };
  const dueMs = world.nowMs;
  let ticks = 0;
  for (let isWhole = false; !isWhole; ticks += 1) {
    expect(await scanTick(world, { isBegin: ticks === 0, dueMs })).toMatchObject({ started: 0, isLeft: true });
    world.nowMs += 60_000;
    // A new tag, written long after the recording started.
    if (ticks === 1) await pushTo(world, 'samples/app', 'v9999');
    isWhole = (await scanRows(world)).every(({ state }) => state.existing?.isWhole);
  }
  expect(ticks).toBeGreaterThan(2);
  expect((await scanRows(world))[0]?.state.existing?.parts).toBeGreaterThan(2);
  world.scheduleRequests = { scan: 250, resync: 0 };
  await scanAll(world);
  expect(await startedTags(world)).toEqual(['samples/app:v9999']);
});

test('after a host died during the recording, tags pushed since its start still count as new', async () => {
  const source = world.registries.repository(REGISTRY, 'samples/app');
  const { digest } = await pushTo(world, 'samples/app', 'v');
  for (const name of putTags(new Map<string, string>(), '', 450)) source.tags.set(`v${name}`, digest);
  world.scheduleRequests = { scan: 4, resync: 0 };
  const replace = world.store.replaceScanRow.bind(world.store);
  // The part is stored, but the row is not written.
  let writes = 0;
  world.store.replaceScanRow = async (row, version) => {
    writes += 1;
    if (writes === 2) throw new PromoterError('STORAGE_UNAVAILABLE', 'the host dies');
    return replace(row, version);
  };
  await scanTick(world).catch(() => undefined);
  expect(world.documents.kept.size).toBeGreaterThan(1);
  world.scheduleRequests = { scan: 100, resync: 0 };
  world.nowMs += 60_000;
  // Their events are lost.
  await pushTo(world, 'samples/app', 'v0');
  await pushTo(world, 'samples/app', 'zzz');
  nextTime();
  await scanAll(world);
  expect(await startedTags(world)).toEqual(['samples/app:v0', 'samples/app:zzz']);
});
