import { beforeEach, expect, test } from '@jest/globals';
import { promotionId } from '../../../src/rules/rule.js';
import { closePromotion } from '../../../src/rows/generation.js';
import {
  askForFullScans,
  copyAs,
  copying,
  endRuns,
  pushTo,
  scanAll,
  scanRows,
  scanTick,
  startedTags,
} from '../../support/scan-world.js';
import { pushArtifact, pushImage } from '../../support/images.js';
import { putTags } from '../../support/many-tags.js';
import { REGISTRY, SOURCE, newWorld, openRun, rowOf, type World } from '../../support/world.js';

// A tag that a scan misses is not checked again for hours, so no scan may miss one.

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
let world: World;

beforeEach(() => {
  world = newWorld(copying());
});

async function settle(): Promise<void> {
  await scanAll(world);
  await endRuns(world, { outcome: 'promoted' });
  world.nowMs += 5 * MINUTE_MS;
}

/** That many names, all with this digest. */
function putNames(tags: Map<string, string>, count: number, digest: string): string[] {
  const names = putTags(new Map<string, string>(), '', count).map((name) => `v${name}`);
  for (const name of names) tags.set(name, digest);
  return names;
}

test('scans in parallel miss no tag when no more runs may be started', async () => {
  world.maxRunsPerTick = 10;
  const generation: string[] = [];
  for (const name of ['samples/a', 'samples/b', 'samples/c', 'samples/d']) {
    for (let nth = 0; nth < 12; nth += 1) {
      await pushTo(world, name, `v${nth}`);
      generation.push(`${name}:v${nth}`);
    }
  }
  for (let times = 0; times < 12; times += 1) {
    await scanTick(world);
    await endRuns(world, { outcome: 'promoted' });
    world.nowMs += 5 * MINUTE_MS;
  }
  const started = new Set(await startedTags(world));
  expect(generation.filter((name) => !started.has(name))).toEqual([]);
});

test('a repository that is deleted during its scan gets one last scan of all its promotions', async () => {
  const source = world.registries.repository(REGISTRY, 'samples/app');
  const { digest } = await pushTo(world, 'samples/app', 'v');
  putNames(source.tags, 250, digest);
  await copyAs(world, 'samples/app', 'v');
  putNames(world.registries.repository(REGISTRY, 'staging/samples/app').tags, 250, digest);
  world.maxRunsPerTick = 1_000;
  await settle();
  const before = world.engine.starts.length;
  world.nowMs += 6 * HOUR_MS;
  world.scheduleRequests = { scan: 6, resync: 0 };
  await scanTick(world);
  expect((await scanRows(world))[0]?.state.full?.after).toBeDefined();
  source.tags.clear();
  source.manifests.clear();
  world.scheduleRequests = { scan: 1_000, resync: 0 };
  for (let times = 0; times < 4; times += 1) {
    world.nowMs += 5 * MINUTE_MS;
    await scanTick(world);
    await endRuns(world, { outcome: 'failed', code: 'SOURCE_GONE' });
  }
  expect(world.engine.starts.length - before).toBe(251);
});

test('a full scan that always fails is tried less and less often although change scans succeed', async () => {
  for (const name of ['samples/a', 'samples/b']) await pushTo(world, name, 'v1');
  await settle();
  await askForFullScans(world);
  const { repository } = world.listing;
  let asked = 0;
  const listTagDetails = (): never => {
    asked += 1;
    throw new TypeError('the scan breaks');
  };
  world.listing.repository = (registry, name) =>
    name === 'samples/a' ? { ...repository(registry, name), listTagDetails } : repository(registry, name);
  for (let minute = 0; minute < 60; minute += 1) {
    const dueMs = world.nowMs - (minute % 5) * MINUTE_MS;
    await scanTick(world, { isBegin: minute % 5 === 0, dueMs });
    world.nowMs += MINUTE_MS;
  }
  expect(asked).toBeGreaterThan(2);
  expect(asked).toBeLessThan(10);
  for (const { state } of await scanRows(world))
    expect(world.nowMs - Date.parse(state.lastChangeScanAt ?? '')).toBeLessThanOrEqual(6 * MINUTE_MS);
});

test('a destination registry without ACR lists is sent no more requests than its share', async () => {
  const other = 'plain.example';
  world.ruleList = [copying({ destination: { reference: `${other}/{repository}/{tag}:latest` } })];
  world.jobPolicy = { ...world.jobPolicy, allowedRegistries: [other, REGISTRY] };
  const { digest } = await pushTo(world, 'samples/app', 'v');
  putNames(world.registries.repository(REGISTRY, 'samples/app').tags, 600, digest);
  world.maxRunsPerTick = 10_000;
  await settle();
  const before = world.engine.starts.length;
  world.nowMs += 6 * HOUR_MS;
  let most = 0;
  let isLeft = true;
  for (let tick = 0; isLeft && tick < 10; tick += 1) {
    const scanned = await scanTick(world, { isBegin: tick === 0, dueMs: world.nowMs - tick * MINUTE_MS });
    most = Math.max(most, scanned.asked(other));
    ({ isLeft } = scanned);
    world.nowMs += MINUTE_MS;
  }
  // What has begun is finished.
  expect(most).toBeLessThan(world.scheduleRequests.scan + 20);
  expect(world.engine.starts.length - before).toBe(601);
});

test.each([
  ['a referrer, and promotions that are refused', true],
  ['a referrers tag', false],
])('more promotions than may be started stand on a change (%s): each is started once', async (_name, isListed) => {
  const source = world.registries.repository(REGISTRY, 'samples/app');
  const base = await pushImage(source, { tag: 'v', content: 'base' });
  const names = putNames(source.tags, 130, base.digest);
  world.maxRunsPerTick = 1_000;
  await settle();
  const image = { registry: REGISTRY, repository: 'samples/app', digest: base.digest };
  const seen = { root: base.digest, at: world.now().toISOString() };
  for (const tag of ['v', ...names])
    await world.store.addToSubjectIndex(image, promotionId('staging', { ...SOURCE, tag }), seen);
  await scanTick(world);
  world.nowMs += 5 * MINUTE_MS;
  world.maxRunsPerTick = 50;
  const before = world.engine.starts.length;
  const tag = isListed ? {} : { tag: base.digest.replace(':', '-') };
  await pushArtifact(source, 'application/x-report', { subject: base, ...tag });
  for (const started of [50, 50, 31, 0]) {
    expect(await scanTick(world)).toMatchObject({ started });
    await endRuns(world, isListed ? { outcome: 'refused', code: 'EVIDENCE_MISSING' } : { outcome: 'unchanged' });
    world.nowMs += 5 * MINUTE_MS;
  }
  const runs = world.engine.starts.slice(before).map(({ input }) => (input as { promotionId: string }).promotionId);
  expect(new Set(runs).size).toBe(131);
});

test('a referrer with a tag that the rule does not match is handled like its push event', async () => {
  world.ruleList = [copying({ source: { registry: REGISTRY, repositories: ['samples/**'], tags: ['v*'] } })];
  const source = world.registries.repository(REGISTRY, SOURCE.repository);
  const subject = await pushImage(source, { tag: SOURCE.tag });
  await settle();
  const image = { registry: REGISTRY, repository: SOURCE.repository, digest: subject.digest };
  const seen = { root: subject.digest, at: world.now().toISOString() };
  await world.store.addToSubjectIndex(image, promotionId('staging', SOURCE), seen);
  await pushArtifact(source, 'application/x-report', { subject, tag: 'report-1' });
  expect(await scanTick(world)).toMatchObject({ started: 1 });
  world.nowMs += 5 * MINUTE_MS;
  expect(await scanTick(world)).toMatchObject({ started: 0 });
});

/** Its run ends without having read the tag. */
async function endUnread(outcome: 'failed' | 'cancelled', code: string): Promise<void> {
  const { promotionId: id, runId } = await openRun(world, world.ruleList[0], SOURCE);
  world.engine.setState(runId, 'ended');
  const { generation } = await rowOf(world, id);
  await closePromotion(world, id, runId, { generation, result: { outcome, code }, rule: copying() });
}

test('the next scan finds a tag that came back while its run still read a late replica', async () => {
  const { digest } = await pushTo(world, 'samples/app', 'v1');
  await settle();
  const { tags } = world.registries.repository(REGISTRY, 'samples/app');
  tags.delete('v1');
  world.nowMs += MINUTE_MS;
  tags.set('v1', digest);
  world.nowMs += MINUTE_MS;
  await endUnread('failed', 'SOURCE_GONE');
  world.nowMs += MINUTE_MS;
  expect(await scanTick(world)).toMatchObject({ started: 1 });
});

test('the next scan finds a tag that was pushed after the cancel of its run and before the run read it', async () => {
  await pushTo(world, 'samples/app', 'v1');
  await settle();
  await endUnread('cancelled', 'CANCELLED');
  world.nowMs += MINUTE_MS;
  await pushTo(world, 'samples/app', 'v1', 'moved');
  world.nowMs += 4 * MINUTE_MS;
  expect(await scanTick(world)).toMatchObject({ started: 1 });
});

test('changes that need no run do not use up the runs for new tags', async () => {
  world.maxRunsPerTick = 3;
  const names = ['a', 'b', 'c', 'd'].map((name) => `samples/${name}`);
  for (const name of names) await pushTo(world, name, 'v');
  for (let times = 0; times < 3; times += 1) await settle();
  for (const name of names) for (const tag of ['v1', 'v2', 'v3']) await pushTo(world, name, tag);
  for (const repository of names)
    for (const tag of ['v1', 'v2', 'v3']) await openRun(world, world.ruleList[0], { ...SOURCE, repository, tag });
  await endRuns(world, { outcome: 'promoted' });
  world.nowMs += MINUTE_MS;
  // Their events are lost.
  for (const name of names.slice(1)) await pushTo(world, name, 'new');
  expect(await scanAll(world)).toMatchObject({ started: 3 });
});

test('a change that concerns many promotions starts no more runs than maxRunsPerTick', async () => {
  const source = world.registries.repository(REGISTRY, 'samples/app');
  const base = await pushImage(source, { tag: 'v', content: 'base' });
  const names = putNames(source.tags, 30, base.digest);
  await settle();
  const image = { registry: REGISTRY, repository: 'samples/app', digest: base.digest };
  const seen = { root: base.digest, at: world.now().toISOString() };
  for (const tag of ['v', ...names])
    await world.store.addToSubjectIndex(image, promotionId('staging', { ...SOURCE, tag }), seen);
  world.maxRunsPerTick = 10;
  await pushArtifact(source, 'application/x-report', { subject: base });
  for (const started of [10, 10, 10, 1, 0]) {
    expect(await scanTick(world)).toMatchObject({ started });
    await endRuns(world, { outcome: 'unchanged' });
    world.nowMs += 5 * MINUTE_MS;
  }
});
