import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { PolicyError, TransportError, type Descriptor } from '../../../src/oci/index.js';
import { raiseWanted } from '../../../src/rows/increment.js';
import { deepPass, DEEP_PASS_PAGE } from '../../../src/schedule/deep-pass.js';
import { hashOfList, listSignatures } from '../../../src/evidence/signature-list.js';
import type { MemoryRepository } from '../oci/memory-repository.js';
import { rule } from '../../support/rules.fixture.js';
import { CYCLONEDX_JSON as CYCLONEDX } from '../../../src/sbom/index.js';
import { NOTARY_SIGNATURE, pushArtifact, pushImage, pushSignature } from '../../support/images.js';
import { endRun, putInSync } from '../../support/in-sync.js';
import { REGISTRY, SOURCE, newCall, newSigner, newWorld, rowOf, type World } from '../../support/world.js';
import { SCAN_MS } from '../../../src/schedule/walk-schedule.js';
import { DEEP_PASS_REQUESTS, DEEP_PASS_ROW_REQUESTS } from '../../../src/schedule/deep-pass-budget.js';
import { LOOK_AGAIN_MS } from '../../../src/schedule/deep-look.js';

let world: World;
let source: MemoryRepository;
let destination: MemoryRepository;
let image: Descriptor;

beforeEach(async () => {
  world = newWorld();
  source = world.registries.repository(REGISTRY, SOURCE.repository);
  destination = world.registries.repository(REGISTRY, 'staging/samples/app');
  image = await pushImage(source, { tag: SOURCE.tag });
});

const pass = (): Promise<number> =>
  deepPass(
    {
      ports: world,
      call: newCall(),
      until: world.nowMs + SCAN_MS,
      started: 0,
      maxStarted: 200,
      looked: 0,
      asked: new Map(),
      problems: [],
    },
    world.ruleList,
  );

/** Deletes the referrers of one type. */
async function lose(at: MemoryRepository, artifactType: string): Promise<void> {
  for (const { digest } of await at.listReferrers(image.digest, { artifactType })) await at.deleteManifest(digest);
}

describe.each(['source', 'destination'] as const)('what is in sync, attached at the %s', (attachTo) => {
  let id: string;
  let attached: MemoryRepository;

  beforeEach(async () => {
    world.ruleList = [rule({ attachTo })];
    attached = attachTo === 'source' ? source : destination;
    id = await putInSync(world, world.ruleList[0] ?? rule());
  });

  test('is left alone', async () => {
    expect(await pass()).toBe(0);
    expect(world.engine.starts).toHaveLength(1);
  });

  test('a referrer that nobody told of', async () => {
    await pushArtifact(source, 'test/evidence', { subject: image });
    expect(await pass()).toBe(1);
    expect(await rowOf(world, id)).toMatchObject({ runOpen: true, wanted: 3, lastTrigger: { kind: 'schedule' } });
  });

  test.each([CYCLONEDX, NOTARY_SIGNATURE])('%s that is missing where it was attached', async (artifactType) => {
    await lose(attached, artifactType);
    expect(await pass()).toBe(1);
  });

  test('a signature over our SBOM that is missing', async () => {
    const [sbom] = await attached.listReferrers(image.digest, { artifactType: CYCLONEDX });
    const [signature] = sbom === undefined ? [] : await attached.listReferrers(sbom.digest);
    await attached.deleteManifest(signature?.digest ?? image.digest);
    expect(await pass()).toBe(1);
  });

  test('a referrer that the destination lost', async () => {
    await lose(destination, NOTARY_SIGNATURE);
    expect(await pass()).toBe(1);
  });

  test('evidence whose records are lost, or that came from elsewhere, is verified before a run is made', async () => {
    await world.documents.removeAll('documents', 'signatures/');
    await world.documents.removeAll('documents', 'sboms/');
    expect(await pass()).toBe(0);
    await lose(attached, CYCLONEDX);
    expect(await pass()).toBe(1);
  });

  test('nothing is asked while new runs are paused', async () => {
    await lose(attached, CYCLONEDX);
    world.paused = true;
    const asked = source.calls.length;
    expect(await pass()).toBe(0);
    expect(source.calls).toHaveLength(asked);
  });
});

test('a source tag that is gone, of which nobody told: a run says so', async () => {
  const id = await putInSync(world, rule());
  source.tags.delete(SOURCE.tag);
  expect(await pass()).toBe(1);
  expect(await rowOf(world, id)).toMatchObject({ runOpen: true, lastTrigger: { kind: 'schedule' } });
});

describe('what was refused for a reason that stands outside', () => {
  const HOUR_MS = 3_600_000;
  const DESTINATION_AT = { registry: REGISTRY, repository: 'staging/samples/app' };
  const refused = (code: string): Promise<string> => endRun(world, rule(), { outcome: 'refused', code });
  /** As many passes, an hour apart. @returns after how many hours one raised something */
  async function raisedAfter(most: number): Promise<number[]> {
    const raised: number[] = [];
    for (let hours = 1; hours <= most; hours += 1) {
      world.nowMs += HOUR_MS;
      if ((await pass()) > 0) raised.push(hours);
    }
    return raised;
  }

  test.each(['*', SOURCE.tag])('a lock (%s): while it is there, nothing; once it is gone, at once', async (lock) => {
    destination.locked.add(lock);
    const id = await refused('DESTINATION_LOCKED');
    expect(await raisedAfter(60)).toEqual([]);
    destination.locked.delete(lock);
    expect(await raisedAfter(1)).toEqual([1]);
    expect(await rowOf(world, id)).toMatchObject({ runOpen: true });
  });

  test('a lock that the registry doesn’t show: once a day', async () => {
    const { repository } = world.listing;
    world.listing.repository = (registry, name) => ({
      ...repository(registry, name),
      isWritable: async () => undefined,
    });
    await refused('DESTINATION_LOCKED');
    expect(await raisedAfter(23)).toEqual([]);
    expect(await raisedAfter(1)).toEqual([1]);
  });

  test('one that is refused again though nothing seems to be locked: once a day from then on', async () => {
    await refused('DESTINATION_LOCKED');
    expect(await raisedAfter(1)).toEqual([1]);
    await refused('DESTINATION_LOCKED');
    expect(await raisedAfter(23)).toEqual([]);
    expect(await raisedAfter(1)).toEqual([1]);
  });

  test('one that the schedule’s own run met first: gone, at once', async () => {
    const { promotionId: id } = await raiseWanted(world, rule(), SOURCE, { kind: 'schedule' });
    destination.locked.add('*');
    await refused('DESTINATION_LOCKED');
    expect((await rowOf(world, id)).runTrigger).toMatchObject({ kind: 'schedule' });
    destination.locked.delete('*');
    expect(await raisedAfter(1)).toEqual([1]);
  });

  test('costs two requests, and counts', async () => {
    const { registry } = world.listing;
    world.listing.registry = (name) => ({ ...registry(name), requestsPerMinute: () => 2 });
    await refused('DESTINATION_LOCKED');
    destination.locked.add('*');
    await pass();
    const note = JSON.parse((await world.store.getNote('deep-pass'))?.value ?? '') as { owed: unknown };
    expect(note.owed).toEqual({ [DESTINATION_AT.registry]: 1 });
  });

  test.each(['IS_REFERRER', 'REFERRER_IN_INDEX', 'DESCRIPTOR_MISMATCH', 'IMAGE_CONFIG_MISMATCH', 'MANIFEST_AMBIGUOUS'])(
    '%s: no run looks again, since a digest never changes what it means',
    async (code) => {
      await refused(code);
      expect(await raisedAfter(25)).toEqual([]);
    },
  );

  test.each(['REGISTRY_NOT_ALLOWED', 'REFERRERS_TAG_TAKEN'])('%s: a run looks once a day', async (code) => {
    await refused(code);
    expect(await raisedAfter(23)).toEqual([]);
    expect(await raisedAfter(1)).toEqual([1]);
  });

  test('a registry that may not be asked keeps the pass from no other', async () => {
    const other = 'other.azurecr.io';
    const { registry } = world.listing;
    world.listing.registry = (name) => {
      if (name === other) throw new PolicyError('REGISTRY_NOT_ALLOWED', name);
      return registry(name);
    };
    const away = rule({ name: 'away', destination: { reference: `${other}/{repository}:{tag}` } });
    world.ruleList = [away, rule()];
    const id = await putInSync(world, rule());
    await pushArtifact(source, 'test/scan', { subject: image });
    world.nowMs += 1000;
    const refusedId = await endRun(world, away, { outcome: 'refused', code: 'REGISTRY_NOT_ALLOWED' });
    expect(await raisedAfter(2)).toEqual([1]);
    expect(await rowOf(world, id)).toMatchObject({ runOpen: true });
    expect(await raisedAfter(23)).toEqual([22]);
    expect(await rowOf(world, refusedId)).toMatchObject({ runOpen: true });
  });

  test('by a clock that was years ahead: it is not left alone for years', async () => {
    world.nowMs += 50_000 * HOUR_MS;
    await refused('REGISTRY_NOT_ALLOWED');
    world.nowMs -= 50_000 * HOUR_MS;
    expect(await pass()).toBe(1);
  });

  test.each(['DESTINATION_TAKEN', 'RULE_GONE'])('%s is looked at elsewhere', async (code) => {
    await refused(code);
    expect(await raisedAfter(60)).toEqual([]);
  });
});

test('what was refused for missing evidence looks again once there is some', async () => {
  const evidence = hashOfList(await listSignatures(source, image, newCall().signal));
  const id = await endRun(world, rule(), { outcome: 'refused', code: 'EVIDENCE_MISSING', evidence });
  expect(await pass()).toBe(0);
  await pushSignature(source, image, newSigner('release').signer);
  expect(await pass()).toBe(1);
  expect(await rowOf(world, id)).toMatchObject({ runOpen: true });
});

describe('one that is too much', () => {
  afterEach(() => void jest.restoreAllMocks());

  /** One pass, in which nothing comes to its end in time. @returns what it told */
  async function slowPass(): Promise<string[]> {
    const timeout = jest.spyOn(AbortSignal, 'timeout').mockReturnValue(AbortSignal.abort());
    source.fault = () => AbortSignal.abort().throwIfAborted();
    const problems: string[] = [];
    const { nowMs: until } = world;
    await deepPass(
      {
        ports: world,
        call: newCall(),
        until: until + 1000,
        started: 0,
        maxStarted: 200,
        looked: 0,
        asked: new Map(),
        problems,
      },
      world.ruleList,
    );
    source.fault = undefined;
    timeout.mockRestore();
    return problems;
  }

  test('by its time is told of once, and known until the next run of it, which comes once a day', async () => {
    const id = await putInSync(world, rule());
    expect(await slowPass()).toEqual([expect.stringContaining('TIMEOUT')]);
    source.calls.length = 0;
    expect(await slowPass()).toEqual([]);
    expect(source.calls).toEqual([]);
    expect((await rowOf(world, id)).runOpen).toBe(false);
    world.nowMs += LOOK_AGAIN_MS;
    expect(await pass()).toBe(1);
    expect(source.calls).toEqual([]);
    world.nowMs += 1000;
    await putInSync(world, rule());
    expect(await slowPass()).toEqual([expect.stringContaining('TIMEOUT')]);
  });

  test('is none where a registry doesn’t answer: it is looked at in the next round', async () => {
    await putInSync(world, rule());
    source.fault = () => {
      throw new TransportError('TIMEOUT', 'no answer in time');
    };
    expect(await pass()).toBe(0);
    source.fault = undefined;
    await pushArtifact(source, 'test/scan', { subject: image });
    expect(await pass()).toBe(1);
  });

  test('is paid back by ticks that look at nothing, and the pass gets on', async () => {
    await putInSync(world, rule());
    const { registry } = world.listing;
    world.listing.registry = (name) => ({ ...registry(name), requestsPerMinute: () => 4 });
    const asked: boolean[] = [];
    for (let passes = 0; passes < 40; passes += 1) {
      source.calls.length = 0;
      expect(await pass()).toBe(0);
      asked.push(source.calls.length > 0);
    }
    expect(asked.slice(0, 3)).toEqual([true, false, false]);
    expect(asked.slice(3)).toContain(true);
  });
});

describe('one that is in the way of the others', () => {
  const SMALL = { ...SOURCE, tag: 'small' };
  const plain = rule({ sign: [], sbom: { formats: [] } });
  let small: Descriptor;
  beforeEach(async () => {
    world.ruleList = [plain];
    small = await pushImage(source, { tag: SMALL.tag, content: SMALL.tag });
    await putInSync(world, plain, SMALL);
    world.nowMs += 1000;
  });
  const isRaised = async (tag: string): Promise<boolean> =>
    (await world.store.listPromotions({ filter: { tag } })).items.some(({ runOpen }) => runOpen);
  const asked = (): number => source.calls.length + destination.calls.length;

  test('by what it costs: so many requests and no more, then the others; a run looks at it once a day', async () => {
    for (let index = 0; index < 300; index += 1) {
      await pushArtifact(source, 'test/scan', { subject: image, text: `${index}` });
    }
    await putInSync(world, plain);
    await pushArtifact(source, 'test/scan', { subject: small });
    const before = asked();
    expect(await pass()).toBe(0);
    expect(asked() - before).toBeGreaterThan(DEEP_PASS_ROW_REQUESTS / 2);
    expect(asked() - before).toBeLessThanOrEqual(DEEP_PASS_ROW_REQUESTS);
    const passes = Math.ceil(DEEP_PASS_ROW_REQUESTS / DEEP_PASS_REQUESTS);
    for (let count = 0; count < passes + 1; count += 1) await pass();
    expect([await isRaised(SMALL.tag), await isRaised(SOURCE.tag)]).toEqual([true, false]);
    world.nowMs += LOOK_AGAIN_MS;
    for (let count = 0; count < 2 * passes; count += 1) await pass();
    expect(await isRaised(SOURCE.tag)).toBe(true);
  });

  test('by what it costs, once: what is too much is known until the next run of it, and the others have their turn', async () => {
    for (let index = 0; index < 300; index += 1) {
      await pushArtifact(source, 'test/scan', { subject: image, text: `${index}` });
    }
    await putInSync(world, plain);
    // Paid back by ticks that look at nothing.
    for (let count = 0; count < 20; count += 1) await pass();
    const looks = async (): Promise<number> => {
      source.calls.length = 0;
      for (let count = 0; count < 20; count += 1) await pass();
      return source.calls.filter(({ method, what }) => method === 'resolve' && what === SOURCE.tag).length;
    };
    expect(await looks()).toBe(0);
    await pushArtifact(source, 'test/scan', { subject: small });
    expect(await pass()).toBe(1);
    world.nowMs += 1000;
    await putInSync(world, plain);
    expect(await looks()).toBe(1);
  });

  test('by killing whoever looks at it: it is done with before it is looked at', async () => {
    await putInSync(world, plain);
    await pushArtifact(source, 'test/scan', { subject: image });
    await pushArtifact(source, 'test/scan', { subject: small });
    const start = world.engine.start.bind(world.engine);
    world.engine.start = () => Promise.reject(new TypeError('the process died'));
    await expect(pass()).rejects.toThrow('died');
    world.engine.start = start;
    expect(await pass()).toBe(1);
    expect(await isRaised(SMALL.tag)).toBe(true);
  });

  test('by being new: what comes to the front of the list keeps the end of it from nothing', async () => {
    await pass();
    await pushArtifact(source, 'test/scan', { subject: small });
    for (let count = 0; count < 3 && !(await isRaised(SMALL.tag)); count += 1) {
      for (let index = 0; index < DEEP_PASS_PAGE + 5; index += 1) {
        world.nowMs += 1000;
        const tag = `new-${count}-${index}`;
        await pushImage(source, { tag, content: tag });
        await putInSync(world, plain, { ...SOURCE, tag });
      }
      await pass();
    }
    expect(await isRaised(SMALL.tag)).toBe(true);
  });

  test('by there being many that are not looked at: a pass goes on over pages', async () => {
    await pushArtifact(source, 'test/scan', { subject: small });
    for (let index = 0; index < 3 * DEEP_PASS_PAGE; index += 1) {
      const tag = `observed-${index}`;
      source.tags.set(tag, image.digest);
      await endRun(world, plain, { outcome: 'observed' }, { ...SOURCE, tag });
    }
    expect(await pass()).toBe(1);
  });

  test('by being raised each time: the one after it is not left out', async () => {
    // Newest first: v1, then each of the others; each of them is raised, and so moves to the front.
    const tags = ['a', 'b', 'c', 'd', 'e'];
    for (const tag of tags) {
      world.nowMs += 1000;
      const each = await pushImage(source, { tag, content: tag });
      await putInSync(world, plain, { ...SOURCE, tag });
      await pushArtifact(source, 'test/scan', { subject: each });
    }
    await pushArtifact(source, 'test/scan', { subject: small });
    let raised = 0;
    for (let passes = 0; passes < 6; passes += 1) {
      world.nowMs += 1000;
      raised += await pass();
    }
    expect(raised).toBe(tags.length + 1);
    const note = JSON.parse((await world.store.getNote('deep-pass'))?.value ?? '') as { from?: string };
    expect(note.from).toBeUndefined();
  });

  test('two passes at once look at each once', async () => {
    await putInSync(world, plain);
    const before = source.calls.filter(({ method }) => method === 'resolve').length;
    await Promise.all([pass(), pass(), pass()]);
    const resolved = source.calls.filter(({ method }) => method === 'resolve').slice(before);
    expect(new Set(resolved.map(({ what }) => what)).size).toBe(resolved.length);
  });
});

describe('many', () => {
  const tags = Array.from({ length: 45 }, (_, index) => `v${index}`);
  beforeEach(async () => {
    world.ruleList = [rule({ sign: [], sbom: { formats: [] } })];
    for (const tag of tags) {
      world.nowMs += 1000;
      await pushImage(source, { tag, content: tag });
      await putInSync(world, world.ruleList[0] ?? rule(), { ...SOURCE, tag });
    }
  });
  /** Tags that the source was asked for, one by one. */
  const looked = (): string[] => source.calls.filter(({ method }) => method === 'resolve').map(({ what }) => what);
  function forget(): void {
    source.calls.length = 0;
    destination.calls.length = 0;
  }

  test('the cursor moves on, over pages, and each is looked at in turn', async () => {
    forget();
    const seen = new Set<string>();
    for (let passes = 0; passes < 60 && seen.size < tags.length; passes += 1) {
      await pass();
      for (const tag of looked()) seen.add(tag);
      forget();
    }
    expect(seen.size).toBe(tags.length);
  });

  test.each([
    ['nothing', undefined, DEEP_PASS_REQUESTS],
    ['120 requests a minute', 120, 60],
    ['next to none', 1, 12],
  ])('of a registry that reports %s so many are asked', async (_name, perMinute, most) => {
    const { registry } = world.listing;
    world.listing.registry = (name) => ({ ...registry(name), requestsPerMinute: () => perMinute });
    forget();
    await pass();
    const asked = source.calls.length + destination.calls.length;
    expect(asked).toBeGreaterThan(0);
    expect(asked).toBeLessThanOrEqual(most);
    // One is looked at in any case.
    expect(looked().length).toBeGreaterThan(0);
  });

  test.each([
    [41, 19],
    [47, 16],
    [300, 100],
  ])('where the first pass made %d requests, %d are left to it, of all registries together', async (made, most) => {
    const { registry } = world.listing;
    world.listing.registry = (name) => ({ ...registry(name), requestsPerMinute: () => 1_000_000 });
    const walk = { ports: world, call: newCall(), until: world.nowMs + 1000, started: 0, maxStarted: 200, looked: 0 };
    forget();
    await deepPass(
      {
        ...walk,
        asked: new Map([
          ['first', made - 1],
          ['second', 1],
        ]),
        problems: [],
      },
      world.ruleList,
    );
    const asked = source.calls.length + destination.calls.length;
    expect(asked).toBeLessThanOrEqual(most);
    expect(asked).toBeGreaterThan(most - 8);
  });

  test('no more runs than the tick may start', async () => {
    const started = world.engine.starts.length;
    for (const tag of tags) {
      const subject = await source.resolve(tag);
      await pushArtifact(source, 'test/evidence', { subject });
    }
    const { registry } = world.listing;
    world.listing.registry = (name) => ({ ...registry(name), requestsPerMinute: () => 1_000_000 });
    await deepPass(
      {
        ports: world,
        call: newCall(),
        until: world.nowMs + 1000,
        started: 197,
        maxStarted: 200,
        looked: 0,
        asked: new Map(),
        problems: [],
      },
      world.ruleList,
    );
    expect(world.engine.starts.length - started).toBe(3);
  });
});
