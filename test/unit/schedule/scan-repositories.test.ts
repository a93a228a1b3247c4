import { beforeEach, describe, expect, test } from '@jest/globals';
import { incrementGeneration } from '../../../src/rows/generation.js';
import { promotionId } from '../../../src/rules/rule.js';
import { PromoterError, RegistryError, TransportError, formatReference } from '../../../src/oci/index.js';
import {
  copyAs,
  copying,
  endRuns,
  pushTo,
  scanAll,
  scanRows,
  scanTick,
  startedRuns,
  startedTags,
} from '../../support/scan-world.js';
import { putTags } from '../../support/many-tags.js';
import { pushArtifact, pushImage } from '../../support/images.js';
import { REGISTRY, SOURCE, newWorld, openRun, rowOf, type World } from '../../support/world.js';

let world: World;
const HOUR_MS = 3_600_000;

beforeEach(() => {
  world = newWorld(copying());
});

/** All source tags are promoted and the first scans are finished. */
async function settle(): Promise<void> {
  await scanAll(world);
  await endRuns(world, { outcome: 'promoted' });
  world.nowMs += 5 * 60_000;
}

describe('the first scan', () => {
  test('starts a run for each matching tag without a promotion', async () => {
    await pushTo(world, 'samples/app', 'v1');
    await pushTo(world, 'samples/app', 'v2');
    await pushTo(world, 'samples/deep/er', 'latest');
    await pushTo(world, 'elsewhere', 'v1');
    expect(await scanAll(world)).toMatchObject({ started: 3, problems: [] });
    expect(await startedTags(world)).toEqual(['samples/app:v1', 'samples/app:v2', 'samples/deep/er:latest']);
  });

  test('scans only rules with the trigger schedule', async () => {
    world.ruleList = [copying({ triggers: ['push'] })];
    await pushTo(world, 'samples/app', 'v1');
    expect(await scanAll(world)).toMatchObject({ started: 0, checked: 0, problems: [] });
    expect(await scanRows(world)).toEqual([]);
  });

  test('reports a tag whose destination cannot be formed, and handles the others', async () => {
    world.ruleList = [copying({ destination: { reference: `${REGISTRY}/by-tag/{tag}:latest` } })];
    for (const tag of ['V1', 'v2', 'v3']) await pushTo(world, 'samples/app', tag);
    const scanned = await scanAll(world);
    expect(scanned).toMatchObject({ started: 2, checked: 3 });
    expect(scanned.problems).toEqual([expect.stringContaining('REFERENCE_INVALID')]);
    expect(await startedTags(world)).toEqual(['samples/app:v2', 'samples/app:v3']);
  });
});

describe('scan rows', () => {
  test('are added and removed with rules and repositories', async () => {
    await pushTo(world, 'samples/app', 'v1');
    await pushTo(world, 'samples/other', 'v1');
    await settle();
    expect((await scanRows(world)).map(({ repository }) => repository)).toEqual(['samples/app', 'samples/other']);
    const { manifests, tags } = world.registries.repository(REGISTRY, 'samples/other');
    manifests.clear();
    tags.clear();
    // Its promotions are checked once more, then the row is removed.
    expect(await scanAll(world)).toMatchObject({ started: 1 });
    expect(await scanRows(world)).toHaveLength(2);
    await endRuns(world, { outcome: 'failed', code: 'SOURCE_GONE' });
    await scanAll(world);
    expect((await scanRows(world)).map(({ repository }) => repository)).toEqual(['samples/app']);
    world.ruleList = [];
    await scanAll(world);
    expect(await scanRows(world)).toEqual([]);
  });

  test('stay and are scanned if the catalog cannot be read', async () => {
    await pushTo(world, 'samples/app', 'v1');
    await settle();
    world.listing.registry = () => {
      throw new PromoterError('HTTP_503', 'not now');
    };
    await pushTo(world, 'samples/app', 'v2');
    const scanned = await scanTick(world);
    expect(scanned).toMatchObject({ started: 1, problems: [expect.stringContaining('HTTP_503')] });
  });
});

describe('a quiet tick', () => {
  test('costs two requests for each repository, and one for the catalog', async () => {
    for (const name of ['a', 'b', 'c']) await pushTo(world, `samples/${name}`, 'v1');
    await settle();
    for (const name of ['a', 'b', 'c']) await copyAs(world, `samples/${name}`, 'v1');
    const scanned = await scanTick(world);
    expect(scanned).toMatchObject({ started: 0, checked: 0, isLeft: false, problems: [] });
    expect(scanned.asked(REGISTRY)).toBe(7);
  });

  test('sends no more requests before the next time of the schedule', async () => {
    await pushTo(world, 'samples/app', 'v1');
    await settle();
    const dueMs = world.nowMs;
    await scanTick(world, { dueMs });
    world.nowMs += 60_000;
    const scanned = await scanTick(world, { dueMs, isBegin: false });
    expect(scanned.asked(REGISTRY)).toBe(0);
  });
});

describe('the change scan', () => {
  test('finds a pushed tag and a tag that was moved to an older manifest', async () => {
    const { digest } = await pushTo(world, 'samples/app', 'v1');
    await pushTo(world, 'samples/app', 'v2');
    await settle();
    await endRuns(world, { outcome: 'promoted' });
    await pushTo(world, 'samples/app', 'v3');
    world.registries.repository(REGISTRY, 'samples/app').tags.set('v2', digest);
    expect(await scanTick(world)).toMatchObject({ started: 2 });
    expect(await startedTags(world)).toEqual(['samples/app:v1', 'samples/app:v2', 'samples/app:v2', 'samples/app:v3']);
  });

  test('starts no run for a digest that an open or finished run covers', async () => {
    await pushTo(world, 'samples/app', 'v1');
    await settle();
    await pushTo(world, 'samples/app', 'v2');
    await openRun(world, world.ruleList[0], { ...SOURCE, tag: 'v2' });
    await endRuns(world, { outcome: 'promoted' });
    const { digest } = await pushTo(world, 'samples/app', 'v3');
    const event = { kind: 'push', digest, at: world.now().toISOString() } as const;
    const { promotionId: id } = await incrementGeneration(world, copying(), { ...SOURCE, tag: 'v3' }, event);
    world.nowMs += 60_000;
    const scanned = await scanTick(world);
    expect(scanned).toMatchObject({ started: 0 });
    expect(scanned.asked(REGISTRY)).toBe(3);
    expect((await rowOf(world, id)).generation).toBe(1);
  });

  test('retries a manifest that cannot be read for two hours, and handles the other changes', async () => {
    const source = world.registries.repository(REGISTRY, 'samples/app');
    const subject = await pushImage(source, { tag: 'v1', content: 'samples/app:v1' });
    await settle();
    const broken = await pushArtifact(source, 'application/x-broken', { subject });
    let asked = 0;
    source.fault = ({ method, what }) => {
      if (method !== 'fetchManifest' || what !== broken.digest) return;
      asked += 1;
      const info = { method: 'GET', url: `https://${REGISTRY}/x`, status: 500, registryCodes: [] };
      throw new RegistryError('it broke', info, { transient: true });
    };
    await pushTo(world, 'samples/app', 'v2');
    expect(await scanTick(world)).toMatchObject({ started: 1, isLeft: false, problems: [expect.any(String)] });
    world.nowMs += 60 * 60_000;
    await pushTo(world, 'samples/app', 'v3');
    expect(await scanTick(world)).toMatchObject({ started: 1 });
    expect(asked).toBe(2);
    world.nowMs += 2 * HOUR_MS;
    await scanTick(world);
    world.nowMs += 5 * 60_000;
    expect(await scanTick(world)).toMatchObject({ started: 0, problems: [] });
    expect(asked).toBe(3);
  });

  test('notifies an open run of a newer digest', async () => {
    await pushTo(world, 'samples/app', 'v1');
    await settle();
    const { promotionId: id, runId } = await openRun(world);
    const { generation } = await rowOf(world, id);
    await pushTo(world, 'samples/app', 'v1', 'moved');
    await scanTick(world);
    expect(await rowOf(world, id)).toMatchObject({ generation: generation + 1, runId });
  });

  test('the next scan finds the changes for which no run could be started', async () => {
    await pushTo(world, 'samples/app', 'v0');
    await settle();
    world.maxRunsPerTick = 2;
    for (const tag of ['v1', 'v2', 'v3', 'v4', 'v5']) await pushTo(world, 'samples/app', tag);
    for (const started of [2, 2, 1, 0]) {
      expect(await scanTick(world)).toMatchObject({ started });
      world.nowMs += 5 * 60_000;
    }
    await endRuns(world, { outcome: 'promoted' });
    expect(new Set(await startedTags(world)).size).toBe(6);
  });
});

describe('the full scan', () => {
  const later = async (): Promise<number> => {
    world.nowMs += 6 * HOUR_MS;
    return (await scanAll(world)).started;
  };

  test('repairs a deleted destination tag and one with another digest', async () => {
    await pushTo(world, 'samples/app', 'v1');
    await settle();
    await copyAs(world, 'samples/app', 'v1');
    expect(await later()).toBe(0);
    world.registries.repository(REGISTRY, 'staging/samples/app').tags.delete('v1');
    expect(await later()).toBe(1);
    await endRuns(world, { outcome: 'promoted' });
    await copyAs(world, 'samples/app', 'v1', 'by hand');
    expect(await later()).toBe(1);
  });

  test('starts one run for a deleted source tag', async () => {
    for (const tag of ['v1', 'v2', 'v3']) {
      await pushTo(world, 'samples/app', tag);
      await copyAs(world, 'samples/app', tag);
    }
    await settle();
    world.registries.repository(REGISTRY, 'samples/app').tags.delete('v2');
    expect(await later()).toBe(1);
    expect((await rowOf(world, promotionId('staging', { ...SOURCE, tag: 'v2' }))).runOpen).toBe(true);
    await endRuns(world, { outcome: 'failed', code: 'SOURCE_GONE' });
    expect(await later()).toBe(0);
  });

  test.each(['refused', 'observed', 'cancelled'] as const)(
    'starts no run for a promotion that is %s',
    async (outcome) => {
      await pushTo(world, 'samples/app', 'v1');
      await scanAll(world);
      await endRuns(world, { outcome });
      expect(await later()).toBe(0);
    },
  );

  test('runs at each time of the schedule for a registry without ACR lists', async () => {
    world.hasAcrLists = false;
    await pushTo(world, 'samples/app', 'v1');
    await settle();
    await copyAs(world, 'samples/app', 'v1');
    await pushTo(world, 'samples/app', 'v2');
    expect(await scanTick(world)).toMatchObject({ started: 1, checked: 2 });
  });

  test.each([2, 3, 250])('finds exactly the differences with %d requests a minute', async (scan) => {
    const names = putTags(new Map<string, string>(), '', 450).map((name) => name.replace(/^v0*(?=.)/, 'v'));
    const source = world.registries.repository(REGISTRY, 'samples/app');
    const destination = world.registries.repository(REGISTRY, 'staging/samples/app');
    const { digest } = await pushTo(world, 'samples/app', 'v');
    const { digest: other } = await copyAs(world, 'samples/app', 'v', 'other');
    await copyAs(world, 'samples/app', 'v');
    for (const name of names) {
      source.tags.set(name, digest);
      destination.tags.set(name, digest);
    }
    world.maxRunsPerTick = 1_000;
    await settle();
    const [gone, moved, missing] = [
      ['v', 'v1', 'v10', 'v101', 'v3', 'v449'],
      ['v2', 'v20', 'v205', 'v44'],
      ['v4', 'v100', 'v19', 'v199'],
    ] as const;
    for (const name of gone) source.tags.delete(name);
    for (const name of moved) destination.tags.set(name, other);
    for (const name of missing) destination.tags.delete(name);
    const before = world.engine.starts.length;
    world.scheduleRequests = { scan, resync: 0 };
    world.nowMs += 6 * HOUR_MS;
    const { isLeft } = await scanAll(world, 1_000);
    expect(isLeft).toBe(false);
    const started = (await startedRuns(world)).slice(before).sort();
    expect(started).toEqual([...gone, ...moved, ...missing].map((name) => `samples/app:${name}`).sort());
  });

  test('a tag that always differs does not use up the runs of each tick', async () => {
    world.maxRunsPerTick = 1;
    world.hasAcrLists = false;
    for (const tag of ['v1', 'v2', 'v3']) await pushTo(world, 'samples/app', tag);
    for (let ticks = 0; ticks < 3; ticks += 1) {
      await scanTick(world);
      // The destination stays empty, so each of them needs a run every time.
      await endRuns(world, { outcome: 'promoted' });
      world.nowMs += 5 * 60_000;
    }
    expect(await startedTags(world)).toEqual(['samples/app:v1', 'samples/app:v2', 'samples/app:v3']);
  });
});

test('with more repositories than the requests allow, each one still gets both scans', async () => {
  const names = Array.from({ length: 150 }, (_, index) => `samples/app${index}`);
  for (const name of names) {
    await pushTo(world, name, 'v1');
    await copyAs(world, name, 'v1');
  }
  await settle();
  // A hundred change scans in five minutes, without any full scan.
  world.scheduleRequests = { scan: 40, resync: 0 };
  const from = world.now().toISOString();
  world.nowMs += 6 * HOUR_MS;
  for (let minute = 0; minute < 120; minute += 1) {
    const dueMs = world.nowMs - (minute % 5) * 60_000;
    await scanTick(world, { isBegin: minute % 5 === 0, dueMs });
    world.nowMs += 60_000;
  }
  for (const { state } of await scanRows(world)) {
    expect(world.nowMs - Date.parse(state.lastChangeScanAt ?? '')).toBeLessThan(30 * 60_000);
    expect(Date.parse(state.lastFullScanAt ?? '')).toBeGreaterThan(Date.parse(from));
  }
});

describe('an edit of a rule', () => {
  beforeEach(async () => {
    for (const tag of ['v1', 'v2', 'v3', 'v4', 'v5']) {
      await pushTo(world, 'samples/app', tag);
      await copyAs(world, 'samples/app', tag);
    }
    await settle();
  });

  test.each([
    ['deadline', { deadline: '1h' }],
    ['list of triggers', { triggers: ['schedule'] }],
  ])('another %s runs nothing again', async (_name, changes) => {
    world.ruleList = [copying(changes)];
    expect(await scanAll(world)).toMatchObject({ started: 0 });
  });

  test('that changes the destination reruns all promotions, maxRunsPerTick at a time', async () => {
    world.maxRunsPerTick = 2;
    world.ruleList = [copying({ destination: { reference: `${REGISTRY}/elsewhere/{repository}:{tag}` } })];
    for (const started of [2, 2, 1, 0]) {
      expect(await scanTick(world)).toMatchObject({ started });
      await endRuns(world, { outcome: 'promoted' });
      world.nowMs += 5 * 60_000;
    }
  });

  test('new tags come before reruns', async () => {
    world.maxRunsPerTick = 2;
    world.ruleList = [copying({ destination: { reference: `${REGISTRY}/elsewhere/{repository}:{tag}` } })];
    await scanTick(world);
    world.nowMs += 5 * 60_000;
    await pushTo(world, 'samples/app', 'v6');
    await scanTick(world);
    expect(await startedTags(world)).toContain('samples/app:v6');
  });

  test('an open run under the former rule is followed by a run under the new one', async () => {
    const { promotionId: id } = await openRun(world, world.ruleList[0], { ...SOURCE, tag: 'v1' });
    const { generation } = await rowOf(world, id);
    world.ruleList = [copying({ attachTo: 'destination' })];
    await scanTick(world);
    expect((await rowOf(world, id)).generation).toBe(generation + 1);
  });
});

describe('reads that fail', () => {
  const OTHER = 'other.azurecr.io';

  test('a registry that is down is reported and does not delay other rules', async () => {
    world.ruleList = [
      copying({ name: 'down', source: { registry: OTHER, repositories: ['**'] } }),
      copying({ name: 'up' }),
    ];
    await pushTo(world, 'samples/app', 'v1');
    world.listingFaults.set(OTHER, new TransportError('CONNECT_FAILED', `${OTHER} cannot be reached`));
    const problems = [`rule down: CONNECT_FAILED: ${OTHER} cannot be reached`];
    expect(await scanTick(world)).toMatchObject({ started: 1, problems });
  });

  test('a missing repository and a forbidden one do not delay the others', async () => {
    const repositories = ['samples/a', 'samples/Wrong', 'samples/secret', 'samples/z'];
    world.ruleList = [copying({ source: { registry: REGISTRY, repositories } })];
    for (const name of ['samples/secret', 'samples/z']) await pushTo(world, name, 'v1');
    const secret = `${REGISTRY}/samples/secret`;
    const info = { method: 'GET', url: `https://${secret}`, status: 403, registryCodes: ['DENIED'] };
    world.listingFaults.set(secret, new RegistryError(`${secret}: denied`, info));
    const scanned = await scanTick(world);
    expect(scanned).toMatchObject({ started: 1, problems: [expect.stringContaining('samples/secret: DENIED')] });
    expect(await startedTags(world)).toEqual(['samples/z:v1']);
    world.listingFaults.clear();
    // It failed once, so it is due again in a minute.
    world.nowMs += 60_000;
    expect(await scanTick(world)).toMatchObject({ started: 1, problems: [] });
  });

  test('a destination tag that cannot be read does not stop the other tags', async () => {
    for (const tag of ['v1', 'v2', 'v3']) await pushTo(world, 'samples/app', tag);
    await settle();
    const destination = world.registries.repository(REGISTRY, 'staging/samples/app');
    destination.fault = ({ method, what }) => {
      const info = { method: 'HEAD', url: `https://${REGISTRY}/x`, status: 500, registryCodes: [] };
      if (method === 'resolve' && what === 'v2') throw new RegistryError('it broke', info, { transient: true });
    };
    world.nowMs += 6 * HOUR_MS;
    expect(await scanTick(world)).toMatchObject({ started: 2, isLeft: false, problems: [expect.any(String)] });
  });

  test('a row that cannot be parsed is reported, and the other tags are handled', async () => {
    for (const tag of ['v1', 'v2', 'v3']) await pushTo(world, 'samples/app', tag);
    await pushTo(world, 'samples/other', 'v1');
    const get = world.store.getPromotion.bind(world.store);
    const broken = promotionId('staging', { ...SOURCE, tag: 'v2' });
    world.store.getPromotion = async (id) => {
      if (id === broken) throw new PromoterError('ROW_UNREADABLE', 'no JSON');
      return get(id);
    };
    const scanned = await scanTick(world);
    expect(scanned).toMatchObject({ started: 3, problems: ['rule staging: ROW_UNREADABLE: no JSON'] });
    expect(await startedTags(world)).toEqual(['samples/app:v1', 'samples/app:v3', 'samples/other:v1']);
  });

  test('if the rules cannot be read, the scans of the tick fail', async () => {
    world.rulesFault = new TransportError('RULES_UNREADABLE', 'gone');
    await expect(scanTick(world)).rejects.toMatchObject({ code: 'RULES_UNREADABLE' });
  });
});

describe('a destination claimed by another promotion', () => {
  test('is left alone until that promotion’s rule is gone', async () => {
    await pushTo(world, 'samples/app', 'v1');
    const owner = copying({ name: 'owner', source: { registry: REGISTRY, repositories: ['samples/app'] } });
    world.ruleList = [owner, copying()];
    const { promotionId: id } = await openRun(world, owner);
    const { destination, rule: name, source } = await rowOf(world, id);
    await world.store.claimDestination(destination, { rule: name, promotionId: id, source: formatReference(source) });
    await copyAs(world, 'samples/app', 'v1');
    await endRuns(world, { outcome: 'promoted' });
    expect(await scanAll(world)).toMatchObject({ started: 1 });
    await endRuns(world, { outcome: 'refused', code: 'DESTINATION_TAKEN' });
    world.nowMs += 6 * HOUR_MS;
    expect(await scanAll(world)).toMatchObject({ started: 0 });
    world.ruleList = [copying()];
    world.nowMs += 6 * HOUR_MS;
    expect(await scanAll(world)).toMatchObject({ started: 1 });
  });
});

test('a tag that names a referrer gets no further run once that is known', async () => {
  const source = world.registries.repository(REGISTRY, SOURCE.repository);
  const subject = await pushImage(source, { tag: 'v0' });
  await pushArtifact(source, 'application/x-report', { subject, tag: SOURCE.tag });
  expect(await scanAll(world)).toMatchObject({ started: 2 });
  await endRuns(world, { outcome: 'refused', code: 'IS_REFERRER' });
  world.nowMs += 6 * HOUR_MS;
  expect(await scanAll(world)).toMatchObject({ started: 0 });
});

test('a referrer whose event was lost is found by a scan; our own attachments start no run', async () => {
  const source = world.registries.repository(REGISTRY, SOURCE.repository);
  const subject = await pushImage(source, { tag: SOURCE.tag });
  await settle();
  const id = promotionId('staging', SOURCE);
  const at = world.now().toISOString();
  const image = { registry: REGISTRY, repository: SOURCE.repository, digest: subject.digest };
  await world.store.addToSubjectIndex(image, id, { root: subject.digest, at });
  const { runId = '', generation } = await rowOf(world, id);
  const ours = await pushArtifact(source, 'application/x-sbom', { subject });
  await world.store.markOurs({ ...image, digest: ours.digest }, runId);
  expect(await scanTick(world)).toMatchObject({ started: 0 });
  expect((await rowOf(world, id)).generation).toBe(generation);
  world.nowMs += 5 * 60_000;
  await pushArtifact(source, 'application/x-report', { subject });
  expect(await scanTick(world)).toMatchObject({ started: 1 });
  expect((await rowOf(world, id)).generation).toBe(generation + 1);
});

test('while paused no run starts, and new tags are found after the pause', async () => {
  await pushTo(world, 'samples/app', 'v1');
  await settle();
  world.paused = true;
  await pushTo(world, 'samples/app', 'v2');
  await pushImage(world.registries.repository(REGISTRY, 'samples/new'), { tag: 'v1' });
  expect(await scanAll(world)).toMatchObject({ started: 0, checked: 0 });
  world.paused = false;
  world.nowMs += 5 * 60_000;
  expect(await scanAll(world)).toMatchObject({ started: 2 });
});
