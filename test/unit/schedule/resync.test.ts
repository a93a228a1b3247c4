import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { PolicyError, TransportError, type Descriptor } from '../../../src/oci/index.js';
import type { PromotionRow } from '../../../src/rows/promotion-row.js';
import { hashOfList, listSignatures } from '../../../src/evidence/signature-list.js';
import { LOOK_REQUESTS, type Resync } from '../../../src/schedule/resync.js';
import type { MemoryRepository } from '../oci/memory-repository.js';
import { rule } from '../../support/rules.fixture.js';
import { CYCLONEDX_JSON as CYCLONEDX } from '../../../src/sbom/index.js';
import { NOTARY_SIGNATURE, pushArtifact, pushImage, pushSignature } from '../../support/images.js';
import { RESYNC_PAUSE_MS, resyncTick } from '../../support/resync-world.js';
import { endRun, putInSync } from '../../support/in-sync.js';
import { REGISTRY, SOURCE, newCall, newSigner, newWorld, refusal, rowOf, type World } from '../../support/world.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

let world: World;
let source: MemoryRepository;
let destination: MemoryRepository;
let image: Descriptor;

beforeEach(async () => {
  world = newWorld();
  // As much as a tick of a small app.
  world.scheduleRequests = { scan: 250, resync: 1_000 };
  source = world.registries.repository(REGISTRY, SOURCE.repository);
  destination = world.registries.repository(REGISTRY, 'staging/samples/app');
  image = await pushImage(source, { tag: SOURCE.tag });
});

afterEach(() => void jest.restoreAllMocks());

const tick = (changes?: Partial<Resync>): Promise<Resync> => resyncTick(world, changes);

/** A tick when what is in sync is due again. @returns how many promotions it raised */
async function later(ms = RESYNC_PAUSE_MS): Promise<number> {
  world.nowMs += ms;
  return (await tick()).started;
}

/** Deletes the referrers of one type. */
async function lose(at: MemoryRepository, artifactType: string): Promise<void> {
  for (const { digest } of await at.listReferrers(image.digest, { artifactType })) await at.deleteManifest(digest);
}

const asked = (): number => source.calls.length + destination.calls.length;

describe.each(['source', 'destination'] as const)('what is in sync, attached at the %s', (attachTo) => {
  let id: string;
  let attached: MemoryRepository;

  beforeEach(async () => {
    world.ruleList = [rule({ attachTo })];
    attached = attachTo === 'source' ? source : destination;
    id = await putInSync(world, world.ruleList[0] ?? rule());
  });

  test('is left alone', async () => {
    expect(await later()).toBe(0);
    expect(world.engine.starts).toHaveLength(1);
  });

  test('a referrer that nobody told of', async () => {
    await pushArtifact(source, 'test/evidence', { subject: image });
    expect(await later()).toBe(1);
    expect(await rowOf(world, id)).toMatchObject({ runOpen: true, wanted: 3, lastTrigger: { kind: 'schedule' } });
  });

  test.each([CYCLONEDX, NOTARY_SIGNATURE])('%s that is missing where it was attached', async (artifactType) => {
    await lose(attached, artifactType);
    expect(await later()).toBe(1);
  });

  test('a signature over our SBOM that is missing', async () => {
    const [sbom] = await attached.listReferrers(image.digest, { artifactType: CYCLONEDX });
    const [signature] = sbom === undefined ? [] : await attached.listReferrers(sbom.digest);
    await attached.deleteManifest(signature?.digest ?? image.digest);
    expect(await later()).toBe(1);
  });

  test('a referrer that the destination lost', async () => {
    await lose(destination, NOTARY_SIGNATURE);
    expect(await later()).toBe(1);
  });

  test('evidence whose records are lost, or that came from elsewhere, is verified before a run is made', async () => {
    await world.documents.removeAll('documents', 'signatures/');
    await world.documents.removeAll('documents', 'sboms/');
    expect(await later()).toBe(0);
    await lose(attached, CYCLONEDX);
    expect(await later()).toBe(1);
  });

  test('nothing is asked while new runs are paused', async () => {
    await lose(attached, CYCLONEDX);
    world.paused = true;
    const before = asked();
    expect(await later()).toBe(0);
    expect(asked()).toBe(before);
  });
});

test('a source tag that is gone, of which nobody told: a run says so', async () => {
  const id = await putInSync(world, rule());
  source.tags.delete(SOURCE.tag);
  expect(await later()).toBe(1);
  expect(await rowOf(world, id)).toMatchObject({ runOpen: true, lastTrigger: { kind: 'schedule' } });
});

describe('what was refused', () => {
  const refused = (code: string): Promise<string> => endRun(world, rule(), { outcome: 'refused', code });
  /** As many ticks, an hour apart. @returns after how many hours one raised something */
  async function raisedAfter(most: number): Promise<number[]> {
    const raised: number[] = [];
    for (let hours = 1; hours <= most; hours += 1) if ((await later(HOUR_MS)) > 0) raised.push(hours);
    return raised;
  }

  test.each(['DESTINATION_LOCKED', 'REGISTRY_NOT_ALLOWED', 'REFERRERS_TAG_TAKEN'])(
    '%s: a run looks once a day, and nothing else',
    async (code) => {
      const id = await refused(code);
      const before = asked();
      expect(await raisedAfter(23)).toEqual([]);
      expect(asked()).toBe(before);
      expect(await raisedAfter(1)).toEqual([1]);
      expect(await rowOf(world, id)).toMatchObject({ runOpen: true, lastTrigger: { kind: 'schedule' } });
      await refused(code);
      expect(await raisedAfter(24)).toEqual([24]);
    },
  );

  test.each([
    'IS_REFERRER',
    'REFERRER_IN_INDEX',
    'DESCRIPTOR_MISMATCH',
    'IMAGE_CONFIG_MISMATCH',
    'MANIFEST_AMBIGUOUS',
    'DESTINATION_TAKEN',
    'RULE_GONE',
  ])('%s stays until digest, rule or claim changes, which scans see', async (code) => {
    await refused(code);
    const before = asked();
    expect(await raisedAfter(60)).toEqual([]);
    expect(asked()).toBe(before);
  });

  test.each(['observed', 'cancelled', 'failed'] as const)('%s is not looked at either', async (outcome) => {
    await endRun(world, rule(), { outcome });
    const before = asked();
    expect(await raisedAfter(30)).toEqual([]);
    expect(asked()).toBe(before);
  });

  test('by a clock that was years ahead: it is not left alone for years', async () => {
    world.nowMs += 50_000 * HOUR_MS;
    await refused('REGISTRY_NOT_ALLOWED');
    world.nowMs -= 50_000 * HOUR_MS;
    expect(await later()).toBe(1);
  });

  test('for missing evidence: a run once some has come, or is gone, and no run before', async () => {
    const { signer } = newSigner('other');
    await pushSignature(source, image, signer);
    const evidence = hashOfList(await listSignatures(source, image, newCall().signal));
    const id = await endRun(world, rule(), { outcome: 'refused', code: 'EVIDENCE_MISSING', evidence });
    expect(await raisedAfter(5)).toEqual([]);
    await pushSignature(source, image, newSigner('release').signer);
    expect(await later()).toBe(1);
    expect(await rowOf(world, id)).toMatchObject({ runOpen: true });
    const both = hashOfList(await listSignatures(source, image, newCall().signal));
    await endRun(world, rule(), { outcome: 'refused', code: 'EVIDENCE_MISSING', evidence: both });
    expect(await later()).toBe(0);
    await lose(source, NOTARY_SIGNATURE);
    expect(await later()).toBe(1);
  });
});

describe('the order', () => {
  const plain = rule({ sign: [], sbom: { formats: [] } });
  const at = (tag: string): typeof SOURCE => ({ ...SOURCE, tag });
  beforeEach(() => {
    world.ruleList = [plain];
  });
  async function promote(tag: string): Promise<string> {
    await pushImage(source, { tag, content: tag });
    world.nowMs += 1000;
    return putInSync(world, plain, at(tag));
  }
  async function refuse(tag: string): Promise<void> {
    const root = await pushImage(source, { tag, content: tag });
    world.nowMs += 1000;
    const evidence = hashOfList(await listSignatures(source, root, newCall().signal));
    await endRun(world, plain, { outcome: 'refused', code: 'EVIDENCE_MISSING', evidence }, at(tag));
  }
  /** Tags that the source was asked for, one by one. */
  async function lookedAt(work: () => Promise<unknown>): Promise<string[]> {
    source.calls.length = 0;
    await work();
    return source.calls.filter(({ method }) => method === 'resolve').map(({ what }) => what);
  }

  test('whose look or run is longest ago comes first, whatever was run since', async () => {
    world.scheduleRequests = { scan: 250, resync: 12 };
    for (const tag of ['a', 'b', 'c', 'd']) await promote(tag);
    const seen: string[] = [];
    for (let ticks = 0; ticks < 7; ticks += 1) {
      world.nowMs += RESYNC_PAUSE_MS;
      seen.push(...(await lookedAt(() => tick())));
      if (ticks === 1) await promote('new');
    }
    expect(seen.slice(0, 4)).toEqual(['a', 'b', 'c', 'd']);
    expect(seen[4]).toBe('a');
    expect(new Set(seen.slice(4))).toContain('new');
  });

  test('a look is not repeated before a quarter of an hour', async () => {
    await promote('a');
    expect(await lookedAt(() => later())).toEqual(['a']);
    for (let minutes = 1; minutes < 15; minutes += 1) expect(await lookedAt(() => later(MINUTE_MS))).toEqual([]);
    expect(await lookedAt(() => later(MINUTE_MS))).toEqual(['a']);
  });

  test('what was refused for missing evidence comes first, and takes half of the requests at most', async () => {
    world.scheduleRequests = { scan: 250, resync: 12 };
    for (const tag of ['a', 'b', 'c']) await promote(tag);
    for (let index = 0; index < 30; index += 1) await refuse(`refused-${index}`);
    const seen = await lookedAt(() => later());
    expect(seen[0]).toBe('refused-0');
    expect(seen).toContain('a');
    expect(seen.filter((tag) => tag.startsWith('refused')).length).toBeLessThanOrEqual(6);
    for (let ticks = 0; ticks < 4; ticks += 1) seen.push(...(await lookedAt(() => later(MINUTE_MS))));
    expect(seen).toEqual(expect.arrayContaining(['a', 'b', 'c']));
  });

  test('a promotion whose rule is gone is passed over', async () => {
    await promote('gone');
    world.ruleList = [rule({ ...plain, source: { ...plain.source, tags: ['v*'] } })];
    await putInSync(world, plain, SOURCE);
    expect(await lookedAt(() => later())).toEqual([SOURCE.tag]);
  });

  test('no more runs than the tick may start', async () => {
    for (let index = 0; index < 8; index += 1) {
      await promote(`v${index}`);
      await pushArtifact(source, 'test/evidence', { subject: await source.resolve(`v${index}`) });
    }
    world.nowMs += RESYNC_PAUSE_MS;
    expect(await tick({ started: 197 })).toMatchObject({ started: 200 });
    expect(await tick({ started: 200 })).toMatchObject({ started: 200, looked: 0 });
    expect(await tick()).toMatchObject({ started: 5 });
  });

  test('two ticks at once look at each once, and raise each once', async () => {
    for (const tag of ['a', 'b', 'c']) await promote(tag);
    await pushArtifact(source, 'test/evidence', { subject: await source.resolve('b') });
    world.nowMs += RESYNC_PAUSE_MS;
    const looked = await lookedAt(() => Promise.all([tick(), tick(), tick()]));
    expect(looked.sort()).toEqual(['a', 'b', 'c']);
  });
});

describe('trouble is no look', () => {
  const plain = rule({ sign: [], sbom: { formats: [] } });
  const FAR = 'far.azurecr.io';
  const away = rule({
    name: 'away',
    sign: [],
    sbom: { formats: [] },
    destination: { reference: `${FAR}/{repository}:{tag}` },
  });
  const tags = Array.from({ length: 6 }, (_, index) => `t${index}`);
  const idOf = new Map<string, string>();
  const at = (tag: string): typeof SOURCE => ({ ...SOURCE, tag });

  beforeEach(async () => {
    world.ruleList = [plain];
    for (const tag of tags) {
      await pushImage(source, { tag, content: tag });
      world.nowMs += 1000;
      idOf.set(tag, await putInSync(world, plain, at(tag)));
    }
  });
  const row = (tag: string): Promise<PromotionRow> => rowOf(world, idOf.get(tag) ?? '');
  const failing = (...names: string[]): void => {
    source.fault = ({ method, what }) => {
      if (method === 'resolve' && names.includes(what)) throw new TransportError('TIMEOUT', 'no answer in time');
    };
  };
  const looked = (): string[] => source.calls.filter(({ method }) => method === 'resolve').map(({ what }) => what);

  test('one that always fails is tried again with growing pauses, and the others have their turn', async () => {
    failing('t0');
    const first = await later().then(() => row('t0'));
    expect(first.resync).toMatchObject({ trouble: { times: 1 } });
    expect(first.resync).not.toHaveProperty('at');
    expect((await row('t5')).resync).toHaveProperty('at');
    source.calls.length = 0;
    for (let minutes = 0; minutes < 120; minutes += 1) await later(MINUTE_MS);
    // After 5, 10, 20 and 40 minutes.
    expect(looked().filter((tag) => tag === 't0')).toHaveLength(4);
    expect(looked().filter((tag) => tag === 't5').length).toBeGreaterThanOrEqual(7);
    source.fault = undefined;
    await pushArtifact(source, 'test/evidence', { subject: await source.resolve('t0') });
    expect(await later(2 * HOUR_MS)).toBe(1);
  });

  test('it is told', async () => {
    failing('t0');
    world.nowMs += RESYNC_PAUSE_MS;
    expect((await tick()).problems).toEqual([expect.stringContaining('TIMEOUT')]);
  });

  test('a registry that is down costs two looks a tick, and keeps no other waiting', async () => {
    world.ruleList = [plain, away];
    const far = world.registries.repository(FAR, SOURCE.repository);
    for (const tag of tags) await putInSync(world, away, at(tag));
    far.fault = () => {
      throw new TransportError('TIMEOUT', 'no answer in time');
    };
    world.nowMs += RESYNC_PAUSE_MS;
    far.calls.length = 0;
    const scan = await tick();
    expect(scan.problems).toHaveLength(2);
    expect(scan.looked).toBe(tags.length + 2);
    far.fault = undefined;
    await pushArtifact(source, 'test/evidence', { subject: await source.resolve('t0') });
    // Those that were not come to are due at once.
    expect((await tick()).looked).toBe(tags.length - 2);
    expect(await later()).toBeGreaterThan(0);
  });

  test('a registry that may not be asked keeps no other waiting', async () => {
    const counted = world.counted.bind(world);
    world.counted = (onRequest) => {
      const { registries, listing } = counted(onRequest);
      const repository: typeof registries.repository = (registry, name) => {
        if (registry === FAR) throw new PolicyError('REGISTRY_NOT_ALLOWED', registry);
        return registries.repository(registry, name);
      };
      return { registries: { repository }, listing };
    };
    world.ruleList = [plain, away];
    await putInSync(world, away, at('t0'));
    await pushArtifact(source, 'test/evidence', { subject: await source.resolve('t5') });
    expect(await later()).toBe(1);
    expect((await row('t5')).runOpen).toBe(true);
  });

  test('many that are refused keep no other waiting: all are tried in one tick', async () => {
    source.fault = ({ method, what }) => {
      if (method === 'resolve' && what !== 't5') throw refusal(403, 'DENIED');
    };
    world.nowMs += RESYNC_PAUSE_MS;
    const { looked: count, problems } = await tick();
    expect([count, problems.length]).toEqual([tags.length, tags.length - 1]);
    expect((await row('t5')).resync).toHaveProperty('at');
  });

  test('one that kills its host is found, tried again later, and the others have their turn', async () => {
    const killers = ['t1', 't4'];
    const isDead = new Error('the process died');
    /** A world whose process dies in the middle of a look: from then on its calls do nothing. */
    const dying = (): World => {
      let dead = false;
      const store = new Proxy(world.store, {
        get: (target, key) => {
          const value: unknown = Reflect.get(target, key);
          if (typeof value !== 'function') return value;
          return (...args: unknown[]): unknown =>
            dead ? new Promise(() => {}) : (value.apply(target, args) as unknown);
        },
      });
      source.fault = ({ method, what }) => {
        if (method === 'resolve' && killers.includes(what)) dead = true;
        if (dead) throw isDead;
      };
      return { ...world, store };
    };
    const MOST = 25;
    let ticks = 0;
    for (; ticks < MOST && looked().filter((tag) => tag === 't5').length < 3; ticks += 1) {
      world.nowMs += MINUTE_MS;
      const looking = resyncTick(world, { ports: dying() });
      // A dead one never ends.
      await Promise.race([looking, new Promise((resolve) => setTimeout(resolve, 30))]);
    }
    expect(ticks).toBeLessThan(MOST);
    source.fault = undefined;
    expect((await row('t1')).resync?.trouble?.times).toBeGreaterThan(0);
    expect((await row('t4')).resync?.trouble?.times).toBeGreaterThan(0);
    expect((await row('t0')).resync).toHaveProperty('at');
  });

  test('when the tick is over it stops, and nothing is noted against the one that it was at', async () => {
    const over = new AbortController();
    source.fault = ({ method, what }) => {
      if (method !== 'resolve' || what !== 't2') return;
      over.abort(new TransportError('TIMEOUT', 'the tick is over'));
      over.signal.throwIfAborted();
    };
    world.nowMs += RESYNC_PAUSE_MS;
    await expect(tick({ call: newCall(over.signal) })).rejects.toMatchObject({ code: 'TIMEOUT' });
    source.fault = undefined;
    expect((await row('t2')).resync).toBeUndefined();
    expect((await tick()).looked).toBe(4);
  });

  test('a store that is down stops the tick', async () => {
    world.store.replacePromotion = () => Promise.reject(new TransportError('STORAGE_UNAVAILABLE', 'down'));
    world.nowMs += RESYNC_PAUSE_MS;
    await expect(tick()).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
  });
});

describe('one that is too large for a look', () => {
  const plain = rule({ sign: [], sbom: { formats: [] } });
  beforeEach(async () => {
    world.ruleList = [plain];
    for (let index = 0; index < 300; index += 1) {
      await pushArtifact(source, 'test/scan', { subject: image, text: `${index}` });
    }
  });

  test('costs so many requests and no more, once; then a run compares it, once a day', async () => {
    const id = await putInSync(world, plain);
    world.scheduleRequests = { scan: 250, resync: 25 };
    const before = asked();
    expect(await later()).toBe(0);
    expect(asked() - before).toBeGreaterThan(LOOK_REQUESTS / 2);
    expect(asked() - before).toBeLessThanOrEqual(LOOK_REQUESTS);
    const after = asked();
    for (let hours = 0; hours < 23; hours += 1) expect(await later(HOUR_MS)).toBe(0);
    expect(asked()).toBe(after);
    expect(await later(HOUR_MS)).toBe(1);
    expect((await rowOf(world, id)).runOpen).toBe(true);
    // Also after that run: it is as large as it was.
    await endRun(world, plain, { outcome: 'unchanged' });
    expect(await later(HOUR_MS)).toBe(0);
    expect(asked() - after).toBeLessThan(5);
    expect(await later(24 * HOUR_MS)).toBe(1);
  });

  test('is another if its tag is another image', async () => {
    await putInSync(world, plain);
    await later();
    image = await pushImage(source, { tag: SOURCE.tag, content: 'small' });
    await putInSync(world, plain);
    await pushArtifact(source, 'test/evidence', { subject: image });
    expect(await later()).toBe(1);
  });

  test('by its time counts as such after three looks', async () => {
    const id = await putInSync(world, plain);
    slow(30);
    for (let looks = 0; looks < 3; looks += 1) {
      expect((await rowOf(world, id)).resync?.tooLarge).toBeUndefined();
      await later(HOUR_MS);
    }
    fast();
    expect((await rowOf(world, id)).resync).toMatchObject({ tooLarge: image.digest });
    expect(await later(24 * HOUR_MS)).toBe(1);
  });

  test('is none where a registry hangs: it is looked at again when that answers', async () => {
    const id = await putInSync(world, plain);
    slow(1);
    for (let looks = 0; looks < 5; looks += 1) await later(4 * HOUR_MS);
    fast();
    expect((await rowOf(world, id)).resync).toMatchObject({ trouble: { times: 5 } });
    expect((await rowOf(world, id)).resync?.tooLarge).toBeUndefined();
  });

  /** The time of a look is over at this request. */
  function slow(requests: number): void {
    let bound = new AbortController();
    jest.spyOn(AbortSignal, 'timeout').mockImplementation(() => {
      bound = new AbortController();
      asked = 0;
      return bound.signal;
    });
    let asked = 0;
    source.fault = () => {
      asked += 1;
      if (asked < requests) return;
      bound.abort(new DOMException('it took too long', 'TimeoutError'));
      bound.signal.throwIfAborted();
    };
  }
  function fast(): void {
    jest.restoreAllMocks();
    source.fault = undefined;
  }

  test('is paid back by ticks that look at nothing', async () => {
    await putInSync(world, plain);
    world.scheduleRequests = { scan: 250, resync: 25 };
    await later();
    const small = { ...SOURCE, tag: 'small' };
    await pushImage(source, { tag: small.tag, content: 'small' });
    await putInSync(world, plain, small);
    world.nowMs += RESYNC_PAUSE_MS;
    const looks: number[] = [];
    for (let ticks = 0; ticks < 10; ticks += 1) looks.push((await tick()).looked);
    expect(looks.slice(0, 6)).toEqual([0, 0, 0, 0, 0, 0]);
    expect(looks.filter((each) => each > 0)).toEqual([1]);
  });
});
