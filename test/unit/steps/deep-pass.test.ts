import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { Descriptor } from '../../../src/oci/index.js';
import { deepPass } from '../../../src/steps/deep-pass.js';
import { STEP_LIMITS } from '../../../src/steps/limits.js';
import { signaturesHash } from '../../../src/steps/our-signature.js';
import type { MemoryRepository } from '../oci/memory-repository.js';
import { rule } from '../promotion/rules.fixture.js';
import { CYCLONEDX_JSON as CYCLONEDX } from '../../../src/sbom/index.js';
import { NOTARY_SIGNATURE, pushArtifact, pushImage, pushSignature } from './images.js';
import { endRun, putInSync } from './in-sync.js';
import { REGISTRY, SOURCE, newCall, newSigner, newWorld, rowOf, type World } from './world.js';

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
      until: world.nowMs + STEP_LIMITS.walkMs,
      started: 0,
      maxStarted: 200,
      looked: 0,
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

  test('evidence whose rows are lost, or that came from elsewhere, is verified before a run is made', async () => {
    world.store.isOurs = async () => false;
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

test('what was refused for missing evidence looks again once there is some', async () => {
  const evidence = await signaturesHash(source, image, newCall().signal);
  const id = await endRun(world, rule(), { outcome: 'refused', code: 'EVIDENCE_MISSING', evidence });
  expect(await pass()).toBe(0);
  await pushSignature(source, image, newSigner('release').signer);
  expect(await pass()).toBe(1);
  expect(await rowOf(world, id)).toMatchObject({ runOpen: true });
});

describe('one that is too much', () => {
  afterEach(() => void jest.restoreAllMocks());

  test('is told of after its time; the pass goes on', async () => {
    await putInSync(world, rule());
    jest.spyOn(AbortSignal, 'timeout').mockReturnValue(AbortSignal.abort());
    source.fault = () => AbortSignal.abort().throwIfAborted();
    const problems: string[] = [];
    const { nowMs } = world;
    await deepPass(
      { ports: world, call: newCall(), until: nowMs + 1000, started: 0, maxStarted: 200, looked: 0, problems },
      world.ruleList,
    );
    expect(problems).toEqual([expect.stringContaining('TIMEOUT')]);
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
    ['nothing', undefined, STEP_LIMITS.deepPassRequests],
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
        problems: [],
      },
      world.ruleList,
    );
    expect(world.engine.starts.length - started).toBe(3);
  });
});
