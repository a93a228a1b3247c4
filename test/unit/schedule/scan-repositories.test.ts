import { beforeEach, describe, expect, test } from '@jest/globals';
import { raiseWanted } from '../../../src/rows/increment.js';
import { promotionId } from '../../../src/rules/promotion-id.js';
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

/** All is promoted that the source has, and the first scans have ended. */
async function settle(): Promise<void> {
  await scanAll(world);
  await endRuns(world, { outcome: 'promoted' });
  world.nowMs += 5 * 60_000;
}

describe('the first scan', () => {
  test('starts a run for each tag without a promotion, of what the rules name', async () => {
    await pushTo(world, 'samples/app', 'v1');
    await pushTo(world, 'samples/app', 'v2');
    await pushTo(world, 'samples/deep/er', 'latest');
    await pushTo(world, 'elsewhere', 'v1');
    expect(await scanAll(world)).toMatchObject({ started: 3, problems: [] });
    expect(await startedTags(world)).toEqual(['samples/app:v1', 'samples/app:v2', 'samples/deep/er:latest']);
  });

  test('scans only rules that the schedule triggers', async () => {
    world.ruleList = [copying({ triggers: ['push'] })];
    await pushTo(world, 'samples/app', 'v1');
    expect(await scanAll(world)).toMatchObject({ started: 0, looked: 0, problems: [] });
    expect(await scanRows(world)).toEqual([]);
  });

  test('a tag of which the rule can make no destination is reported, and keeps no other from its turn', async () => {
    world.ruleList = [copying({ destination: { reference: `${REGISTRY}/by-tag/{tag}:latest` } })];
    for (const tag of ['V1', 'v2', 'v3']) await pushTo(world, 'samples/app', tag);
    const scanned = await scanAll(world);
    expect(scanned).toMatchObject({ started: 2, looked: 3 });
    expect(scanned.problems).toEqual([expect.stringContaining('REFERENCE_INVALID')]);
    expect(await startedTags(world)).toEqual(['samples/app:v2', 'samples/app:v3']);
  });
});

describe('rows', () => {
  test('come and go with rules and repositories', async () => {
    await pushTo(world, 'samples/app', 'v1');
    await pushTo(world, 'samples/other', 'v1');
    await settle();
    expect((await scanRows(world)).map(({ repository }) => repository)).toEqual(['samples/app', 'samples/other']);
    const { manifests, tags } = world.registries.repository(REGISTRY, 'samples/other');
    manifests.clear();
    tags.clear();
    // Its promotions are told, and then it goes.
    expect(await scanAll(world)).toMatchObject({ started: 1 });
    expect(await scanRows(world)).toHaveLength(2);
    await endRuns(world, { outcome: 'failed', code: 'SOURCE_GONE' });
    await scanAll(world);
    expect((await scanRows(world)).map(({ repository }) => repository)).toEqual(['samples/app']);
    world.ruleList = [];
    await scanAll(world);
    expect(await scanRows(world)).toEqual([]);
  });

  test('stay as they are if the catalog cannot be read, and are scanned', async () => {
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
    expect(scanned).toMatchObject({ started: 0, looked: 0, isLeft: false, problems: [] });
    expect(scanned.asked(REGISTRY)).toBe(7);
  });

  test('is followed by none before the next time of the schedule', async () => {
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
  test('finds a tag that was pushed, and one that went back to an older manifest', async () => {
    const { digest } = await pushTo(world, 'samples/app', 'v1');
    await pushTo(world, 'samples/app', 'v2');
    await settle();
    await endRuns(world, { outcome: 'promoted' });
    await pushTo(world, 'samples/app', 'v3');
    world.registries.repository(REGISTRY, 'samples/app').tags.set('v2', digest);
    expect(await scanTick(world)).toMatchObject({ started: 2 });
    expect(await startedTags(world)).toEqual(['samples/app:v1', 'samples/app:v2', 'samples/app:v2', 'samples/app:v3']);
  });

  test('starts nothing for what a run knows, open or ended', async () => {
    await pushTo(world, 'samples/app', 'v1');
    await settle();
    await pushTo(world, 'samples/app', 'v2');
    await openRun(world, world.ruleList[0], { ...SOURCE, tag: 'v2' });
    await endRuns(world, { outcome: 'promoted' });
    const { digest } = await pushTo(world, 'samples/app', 'v3');
    const event = { kind: 'push', digest, at: world.now().toISOString() } as const;
    const { promotionId: id } = await raiseWanted(world, copying(), { ...SOURCE, tag: 'v3' }, event);
    world.nowMs += 60_000;
    const scanned = await scanTick(world);
    expect(scanned).toMatchObject({ started: 0 });
    expect(scanned.asked(REGISTRY)).toBe(3);
    expect((await rowOf(world, id)).wanted).toBe(1);
  });

  test('a manifest that cannot be read keeps no other change from its turn, and is tried again for two hours', async () => {
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

  test('tells an open run of what is newer than it knows', async () => {
    await pushTo(world, 'samples/app', 'v1');
    await settle();
    const { promotionId: id, runId } = await openRun(world);
    const { wanted } = await rowOf(world, id);
    await pushTo(world, 'samples/app', 'v1', 'moved');
    await scanTick(world);
    expect(await rowOf(world, id)).toMatchObject({ wanted: wanted + 1, runId });
  });

  test('what may not be started any more is found by the next one', async () => {
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

  test('repairs a destination tag that is gone, and one that leads elsewhere', async () => {
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

  test('starts a run for a source tag that is gone, once', async () => {
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

  test.each(['refused', 'observed', 'cancelled'] as const)('leaves %s alone', async (outcome) => {
    await pushTo(world, 'samples/app', 'v1');
    await scanAll(world);
    await endRuns(world, { outcome });
    expect(await later()).toBe(0);
  });

  test('a registry without lists by time has one at each time of the schedule', async () => {
    world.hasAcrLists = false;
    await pushTo(world, 'samples/app', 'v1');
    await settle();
    await copyAs(world, 'samples/app', 'v1');
    await pushTo(world, 'samples/app', 'v2');
    expect(await scanTick(world)).toMatchObject({ started: 1, looked: 2 });
  });

  test.each([2, 3, 250])('finds all that differs, and nothing else, with %d requests a minute', async (scan) => {
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

  test('a tag that always differs does not use up what a tick may start', async () => {
    world.maxRunsPerTick = 1;
    world.hasAcrLists = false;
    for (const tag of ['v1', 'v2', 'v3']) await pushTo(world, 'samples/app', tag);
    for (let ticks = 0; ticks < 3; ticks += 1) {
      await scanTick(world);
      // The destination stays empty, so that each would be raised again.
      await endRuns(world, { outcome: 'promoted' });
      world.nowMs += 5 * 60_000;
    }
    expect(await startedTags(world)).toEqual(['samples/app:v1', 'samples/app:v2', 'samples/app:v3']);
  });
});

test('if there are more repositories than a time of the schedule has requests for, each has its turn, with both scans', async () => {
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

  test('another destination runs all again, as many at a time as may be', async () => {
    world.maxRunsPerTick = 2;
    world.ruleList = [copying({ destination: { reference: `${REGISTRY}/elsewhere/{repository}:{tag}` } })];
    for (const started of [2, 2, 1, 0]) {
      expect(await scanTick(world)).toMatchObject({ started });
      await endRuns(world, { outcome: 'promoted' });
      world.nowMs += 5 * 60_000;
    }
  });

  test('what is new comes before what is run again', async () => {
    world.maxRunsPerTick = 2;
    world.ruleList = [copying({ destination: { reference: `${REGISTRY}/elsewhere/{repository}:{tag}` } })];
    await scanTick(world);
    world.nowMs += 5 * 60_000;
    await pushTo(world, 'samples/app', 'v6');
    await scanTick(world);
    expect(await startedTags(world)).toContain('samples/app:v6');
  });

  test('an open run that goes by the rule as it was is followed by one that does not', async () => {
    const { promotionId: id } = await openRun(world, world.ruleList[0], { ...SOURCE, tag: 'v1' });
    const { wanted } = await rowOf(world, id);
    world.ruleList = [copying({ attachTo: 'destination' })];
    await scanTick(world);
    expect((await rowOf(world, id)).wanted).toBe(wanted + 1);
  });
});

describe('what cannot be read', () => {
  const OTHER = 'other.azurecr.io';

  test('a registry that is down is reported, and keeps no other rule from its turn', async () => {
    world.ruleList = [
      copying({ name: 'down', source: { registry: OTHER, repositories: ['**'] } }),
      copying({ name: 'up' }),
    ];
    await pushTo(world, 'samples/app', 'v1');
    world.listingFaults.set(OTHER, new TransportError('CONNECT_FAILED', `${OTHER} cannot be reached`));
    const problems = [`rule down: CONNECT_FAILED: ${OTHER} cannot be reached`];
    expect(await scanTick(world)).toMatchObject({ started: 1, problems });
  });

  test('a repository that is not there, and one that may not be read, keep no other from its turn', async () => {
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
    // It failed once: in a minute.
    world.nowMs += 60_000;
    expect(await scanTick(world)).toMatchObject({ started: 1, problems: [] });
  });

  test('a destination tag that cannot be asked for keeps no other tag from its turn', async () => {
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

  test('a row that cannot be read is reported, and the other tags have their turn', async () => {
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

  test('rules: the scans of the tick fail', async () => {
    world.rulesFault = new TransportError('RULES_UNREADABLE', 'gone');
    await expect(scanTick(world)).rejects.toMatchObject({ code: 'RULES_UNREADABLE' });
  });
});

describe('a destination that another owns', () => {
  test('is left alone until its rule is gone', async () => {
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

test('a tag that names a referrer is left alone once that is known', async () => {
  const source = world.registries.repository(REGISTRY, SOURCE.repository);
  const subject = await pushImage(source, { tag: 'v0' });
  await pushArtifact(source, 'application/x-report', { subject, tag: SOURCE.tag });
  expect(await scanAll(world)).toMatchObject({ started: 2 });
  await endRuns(world, { outcome: 'refused', code: 'IS_REFERRER' });
  world.nowMs += 6 * HOUR_MS;
  expect(await scanAll(world)).toMatchObject({ started: 0 });
});

test('a referrer whose event was lost is handled like its event; what we attached ourselves is not', async () => {
  const source = world.registries.repository(REGISTRY, SOURCE.repository);
  const subject = await pushImage(source, { tag: SOURCE.tag });
  await settle();
  const id = promotionId('staging', SOURCE);
  const at = world.now().toISOString();
  const image = { registry: REGISTRY, repository: SOURCE.repository, digest: subject.digest };
  await world.store.addStanding(image, id, { root: subject.digest, at });
  const { runId = '', wanted } = await rowOf(world, id);
  const ours = await pushArtifact(source, 'application/x-sbom', { subject });
  await world.store.markOurs({ ...image, digest: ours.digest }, runId);
  expect(await scanTick(world)).toMatchObject({ started: 0 });
  expect((await rowOf(world, id)).wanted).toBe(wanted);
  world.nowMs += 5 * 60_000;
  await pushArtifact(source, 'application/x-report', { subject });
  expect(await scanTick(world)).toMatchObject({ started: 1 });
  expect((await rowOf(world, id)).wanted).toBe(wanted + 1);
});

test('paused, nothing is started, and what is new is found when it is lifted', async () => {
  await pushTo(world, 'samples/app', 'v1');
  await settle();
  world.paused = true;
  await pushTo(world, 'samples/app', 'v2');
  await pushImage(world.registries.repository(REGISTRY, 'samples/new'), { tag: 'v1' });
  expect(await scanAll(world)).toMatchObject({ started: 0, looked: 0 });
  world.paused = false;
  world.nowMs += 5 * 60_000;
  expect(await scanAll(world)).toMatchObject({ started: 2 });
});
