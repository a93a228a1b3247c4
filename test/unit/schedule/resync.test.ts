import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { PolicyError, TransportError, type Descriptor } from '../../../src/oci/index.js';
import type { PromotionRow } from '../../../src/rows/promotion-row.js';
import { hashOfList, listSignatures } from '../../../src/evidence/signature-checks.js';
import { LOOK_REQUESTS, type Resync } from '../../../src/schedule/resync.js';
import type { MemoryRepository } from '../../support/memory-repository.js';
import { rule } from '../../support/rules.fixture.js';
import { SBOM_MEDIA_TYPES } from '../../../src/sbom/index.js';
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
  // What a tick of a small app may do.
  world.scheduleRequests = { scan: 250, resync: 1_000 };
  source = world.registries.repository(REGISTRY, SOURCE.repository);
  destination = world.registries.repository(REGISTRY, 'staging/samples/app');
  image = await pushImage(source, { tag: SOURCE.tag });
});

afterEach(() => void jest.restoreAllMocks());

const tick = (changes?: Partial<Resync>): Promise<Resync> => resyncTick(world, changes);

/** One tick when promotions that are in sync are due again. @returns how many promotions it started */
async function later(ms = RESYNC_PAUSE_MS): Promise<number> {
  world.nowMs += ms;
  return (await tick()).started;
}

/** Deletes the referrers of one type. */
async function lose(at: MemoryRepository, artifactType: string): Promise<void> {
  for (const { digest } of await at.listReferrers(image.digest, { artifactType })) await at.deleteManifest(digest);
}

const asked = (): number => source.calls.length + destination.calls.length;

describe.each(['source', 'destination'] as const)(
  'a promotion in sync with evidence attached at the %s',
  (attachTo) => {
    let id: string;
    let attached: MemoryRepository;

    beforeEach(async () => {
      world.ruleList = [rule({ attachTo })];
      attached = attachTo === 'source' ? source : destination;
      id = await putInSync(world, world.ruleList[0] ?? rule());
    });

    test('starts no run if nothing differs', async () => {
      expect(await later()).toBe(0);
      expect(world.engine.starts).toHaveLength(1);
    });

    test('gets a run for a referrer without an event', async () => {
      await pushArtifact(source, 'test/evidence', { subject: image });
      expect(await later()).toBe(1);
      expect(await rowOf(world, id)).toMatchObject({ runOpen: true, generation: 3, lastTrigger: { kind: 'schedule' } });
    });

    test.each([SBOM_MEDIA_TYPES.cyclonedx, NOTARY_SIGNATURE])(
      'gets a run if a %s that we attached is missing',
      async (artifactType) => {
        await lose(attached, artifactType);
        expect(await later()).toBe(1);
      },
    );

    test('gets a run if the signature over our SBOM is missing', async () => {
      const [sbom] = await attached.listReferrers(image.digest, { artifactType: SBOM_MEDIA_TYPES.cyclonedx });
      const [signature] = sbom === undefined ? [] : await attached.listReferrers(sbom.digest);
      await attached.deleteManifest(signature?.digest ?? image.digest);
      expect(await later()).toBe(1);
    });

    test('gets a run if the destination lost a referrer', async () => {
      await lose(destination, NOTARY_SIGNATURE);
      expect(await later()).toBe(1);
    });

    test('gets no run if evidence without records verifies', async () => {
      await world.documents.removeAll('documents', 'signatures/');
      await world.documents.removeAll('documents', 'sboms/');
      expect(await later()).toBe(0);
      await lose(attached, SBOM_MEDIA_TYPES.cyclonedx);
      expect(await later()).toBe(1);
    });

    test('costs no request while promotions are paused', async () => {
      await lose(attached, SBOM_MEDIA_TYPES.cyclonedx);
      world.paused = true;
      const before = asked();
      expect(await later()).toBe(0);
      expect(asked()).toBe(before);
    });
  },
);

test('a source tag that was deleted without an event gets a run', async () => {
  const id = await putInSync(world, rule());
  source.tags.delete(SOURCE.tag);
  expect(await later()).toBe(1);
  expect(await rowOf(world, id)).toMatchObject({ runOpen: true, lastTrigger: { kind: 'schedule' } });
});

describe('a refused promotion', () => {
  const refused = (code: string): Promise<string> => endRun(world, rule(), { outcome: 'refused', code });
  /** That many ticks, an hour apart. @returns after how many hours one of them started a run */
  async function raisedAfter(most: number): Promise<number[]> {
    const raised: number[] = [];
    for (let hours = 1; hours <= most; hours += 1) if ((await later(HOUR_MS)) > 0) raised.push(hours);
    return raised;
  }

  test.each(['DESTINATION_LOCKED', 'REGISTRY_NOT_ALLOWED', 'REFERRERS_TAG_TAKEN'])(
    'with %s gets one run a day',
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

  test.each(['observed', 'cancelled', 'failed'] as const)('a promotion that is %s is not compared', async (outcome) => {
    await endRun(world, rule(), { outcome });
    const before = asked();
    expect(await raisedAfter(30)).toEqual([]);
    expect(asked()).toBe(before);
  });

  test('recorded by a clock that was years ahead is compared again', async () => {
    world.nowMs += 50_000 * HOUR_MS;
    await refused('REGISTRY_NOT_ALLOWED');
    world.nowMs -= 50_000 * HOUR_MS;
    expect(await later()).toBe(1);
  });

  test('for missing evidence gets a run once evidence was added or deleted, and none before', async () => {
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

describe('the order of resync', () => {
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
  /** Tags that were read one by one at the source. */
  async function lookedAt(work: () => Promise<unknown>): Promise<string[]> {
    source.calls.length = 0;
    await work();
    return source.calls.filter(({ method }) => method === 'resolve').map(({ what }) => what);
  }

  test('the promotion with the oldest comparison or run comes first', async () => {
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

  test('a comparison is not repeated within 15 minutes', async () => {
    await promote('a');
    expect(await lookedAt(() => later())).toEqual(['a']);
    for (let minutes = 1; minutes < 15; minutes += 1) expect(await lookedAt(() => later(MINUTE_MS))).toEqual([]);
    expect(await lookedAt(() => later(MINUTE_MS))).toEqual(['a']);
  });

  test('promotions refused for missing evidence come first and use at most half of the requests', async () => {
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

  test('a promotion whose rule is gone is skipped', async () => {
    await promote('gone');
    world.ruleList = [rule({ ...plain, source: { ...plain.source, tags: ['v*'] } })];
    await putInSync(world, plain, SOURCE);
    expect(await lookedAt(() => later())).toEqual([SOURCE.tag]);
  });

  test('no more than maxRunsPerTick runs are started', async () => {
    for (let index = 0; index < 8; index += 1) {
      await promote(`v${index}`);
      await pushArtifact(source, 'test/evidence', { subject: await source.resolve(`v${index}`) });
    }
    world.nowMs += RESYNC_PAUSE_MS;
    expect(await tick({ started: 197 })).toMatchObject({ started: 200 });
    expect(await tick({ started: 200 })).toMatchObject({ started: 200, checked: 0 });
    expect(await tick()).toMatchObject({ started: 5 });
  });

  test('two ticks at once compare each promotion once and start each once', async () => {
    for (const tag of ['a', 'b', 'c']) await promote(tag);
    await pushArtifact(source, 'test/evidence', { subject: await source.resolve('b') });
    world.nowMs += RESYNC_PAUSE_MS;
    const looked = await lookedAt(() => Promise.all([tick(), tick(), tick()]));
    expect(looked.sort()).toEqual(['a', 'b', 'c']);
  });
});

describe('comparisons that fail', () => {
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

  test('a promotion that always fails is tried again with growing pauses, and the others are compared', async () => {
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

  test('the error is logged', async () => {
    failing('t0');
    world.nowMs += RESYNC_PAUSE_MS;
    expect((await tick()).problems).toEqual([expect.stringContaining('TIMEOUT')]);
  });

  test('a registry that is down costs two comparisons a tick and delays no other', async () => {
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
    expect(scan.checked).toBe(tags.length + 2);
    far.fault = undefined;
    await pushArtifact(source, 'test/evidence', { subject: await source.resolve('t0') });
    // Promotions that were not reached are due at once.
    expect((await tick()).checked).toBe(tags.length - 2);
    expect(await later()).toBeGreaterThan(0);
  });

  test('a registry that is not allowed delays no other', async () => {
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

  test('many refusals delay no other promotion, and all are tried in one tick', async () => {
    source.fault = ({ method, what }) => {
      if (method === 'resolve' && what !== 't5') throw refusal(403, 'DENIED');
    };
    world.nowMs += RESYNC_PAUSE_MS;
    const { checked: count, problems } = await tick();
    expect([count, problems.length]).toEqual([tags.length, tags.length - 1]);
    expect((await row('t5')).resync).toHaveProperty('at');
  });

  test('a promotion that crashes its host is found and tried again later, and the others are compared', async () => {
    const killers = ['t1', 't4'];
    const isDead = new Error('the process died');
    /** A world whose process dies during a comparison: from then on its calls do nothing. */
    const dying = (): { ports: World; died: Promise<void> } => {
      let dead = false;
      let die = (): void => undefined;
      const died = new Promise<void>((resolve) => (die = resolve));
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
        if (!dead) return;
        die();
        throw isDead;
      };
      return { ports: { ...world, store }, died };
    };
    const MOST = 25;
    let ticks = 0;
    for (; ticks < MOST && looked().filter((tag) => tag === 't5').length < 3; ticks += 1) {
      world.nowMs += MINUTE_MS;
      const { ports, died } = dying();
      // A call of the dead process never ends.
      await Promise.race([resyncTick(world, { ports }), died]);
    }
    expect(ticks).toBeLessThan(MOST);
    source.fault = undefined;
    expect((await row('t1')).resync?.trouble?.times).toBeGreaterThan(0);
    expect((await row('t4')).resync?.trouble?.times).toBeGreaterThan(0);
    expect((await row('t0')).resync).toHaveProperty('at');
  });

  test('when the tick’s time is over it stops, and the current promotion does not count as failed', async () => {
    const over = new AbortController();
    source.fault = ({ method, what }) => {
      if (method !== 'resolve' || what !== 't2') return;
      over.abort(new TransportError('TIMEOUT', 'the tick is over'));
      over.signal.throwIfAborted();
    };
    world.nowMs += RESYNC_PAUSE_MS;
    await expect(tick({ signal: over.signal })).rejects.toMatchObject({ code: 'TIMEOUT' });
    source.fault = undefined;
    expect((await row('t2')).resync).toBeUndefined();
    expect((await tick()).checked).toBe(4);
  });

  test('a store that is down stops the tick', async () => {
    world.store.replacePromotion = () => Promise.reject(new TransportError('STORAGE_UNAVAILABLE', 'down'));
    world.nowMs += RESYNC_PAUSE_MS;
    await expect(tick()).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
  });
});

describe('a promotion that is too large to compare', () => {
  const plain = rule({ sign: [], sbom: { formats: [] } });
  beforeEach(async () => {
    world.ruleList = [plain];
    for (let index = 0; index < 300; index += 1) {
      await pushArtifact(source, 'test/scan', { subject: image, text: `${index}` });
    }
  });

  test('costs the limit of requests once, then gets one run a day', async () => {
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
    // Also after that run: it is as large as before.
    await endRun(world, plain, { outcome: 'unchanged' });
    expect(await later(HOUR_MS)).toBe(0);
    expect(asked() - after).toBeLessThan(5);
    expect(await later(24 * HOUR_MS)).toBe(1);
  });

  test('is compared again when its tag has another image', async () => {
    await putInSync(world, plain);
    await later();
    image = await pushImage(source, { tag: SOURCE.tag, content: 'small' });
    await putInSync(world, plain);
    await pushArtifact(source, 'test/evidence', { subject: image });
    expect(await later()).toBe(1);
  });

  test('counts as too large after three timeouts', async () => {
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

  test('does not count as too large if its registry hangs, and is compared when the registry answers', async () => {
    const id = await putInSync(world, plain);
    slow(1);
    for (let looks = 0; looks < 5; looks += 1) await later(4 * HOUR_MS);
    fast();
    expect((await rowOf(world, id)).resync).toMatchObject({ trouble: { times: 5 } });
    expect((await rowOf(world, id)).resync?.tooLarge).toBeUndefined();
  });

  /** The time limit is exceeded at this request. */
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

  test('uses up the share of the following ticks', async () => {
    await putInSync(world, plain);
    world.scheduleRequests = { scan: 250, resync: 25 };
    await later();
    const small = { ...SOURCE, tag: 'small' };
    await pushImage(source, { tag: small.tag, content: 'small' });
    await putInSync(world, plain, small);
    world.nowMs += RESYNC_PAUSE_MS;
    const looks: number[] = [];
    for (let ticks = 0; ticks < 10; ticks += 1) looks.push((await tick()).checked);
    expect(looks.slice(0, 6)).toEqual([0, 0, 0, 0, 0, 0]);
    expect(looks.filter((each) => each > 0)).toEqual([1]);
  });
});
