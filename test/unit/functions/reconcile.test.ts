import { beforeEach, describe, expect, test } from '@jest/globals';
import { handleRegistryEvent } from '../../../src/promotions/handle-change.js';
import { packArtifact, pushPacked, type Descriptor, type Digest } from '../../../src/oci/index.js';
import type { RunSummary } from '../../../src/rows/run-row.js';
import { SBOM_MEDIA_TYPES } from '../../../src/sbom/index.js';
import type { MemoryRepository } from '../../support/memory-repository.js';
import { rule } from '../../support/rules.fixture.js';
import {
  NOTARY_SIGNATURE,
  countReferrers,
  pushArtifact,
  pushImage,
  pushIndex,
  pushMultiPlatform,
  pushSignature,
} from '../../support/images.js';
import { REGISTRY, SOURCE, newSigner, refusal, rowOf, type World } from '../../support/world.js';
import { newPlayedWorld, outcomes, type PlayedWorld } from '../../support/played-world.js';

// State decides, not the event: whatever comes, however often, in whatever order, is the same promotion.

/** Between the moments that are tried; in the full run all. */
const STRIDE = process.env.FULL === '1' ? 1 : 5;

let play: PlayedWorld;
let events: number;

beforeEach(() => {
  play = newPlayedWorld(rule({ existing: 'promote' }));
  events = 0;
});

/** A registry reports a push. */
async function told(what: { tag?: string; digest?: Digest }, world: World = play.world): Promise<string[]> {
  events += 1;
  const event = { id: `e${events}`, kind: 'pushed', registry: REGISTRY, repository: SOURCE.repository } as const;
  const { incremented } = await handleRegistryEvent(
    world,
    { ...event, time: world.now().toISOString(), ...what },
    AbortSignal.timeout(10_000),
  );
  return incremented;
}
async function push(content = 'A', { source, world }: PlayedWorld = play): Promise<Descriptor> {
  const image = await pushImage(source, { tag: SOURCE.tag, content });
  await told({ tag: SOURCE.tag, digest: image.digest }, world);
  return image;
}
async function evidence(subject: Descriptor, at: MemoryRepository): Promise<{ sboms: number; signatures: number }> {
  return {
    sboms: await countReferrers(at, subject, SBOM_MEDIA_TYPES.cyclonedx),
    signatures: await countReferrers(at, subject, NOTARY_SIGNATURE),
  };
}
/** Oldest first. */
async function runs(): Promise<RunSummary[]> {
  return (await play.world.store.listRuns({ size: 100 })).items.toReversed();
}

describe('pushes of A, B and A', () => {
  /** Plays with B pushed at the `second` moment, A again at the `third`; a moment is before and after each step. */
  async function ends(
    second: number,
    third: number,
  ): Promise<{ play: PlayedWorld; image: Descriptor; moments: number }> {
    const each = newPlayedWorld(rule());
    const image = await push('A', each);
    let moments = 0;
    const moment = async (): Promise<void> => {
      if (moments === second) await push('B', each);
      if (moments === third) await push('A', each);
      moments += 1;
    };
    await each.playAll(async (work) => {
      await moment();
      const answer = await work();
      await moment();
      return answer;
    });
    return { play: each, image, moments };
  }

  // The first run has six steps: twelve moments.
  test.each(Array.from({ length: 12 }, (_, second) => second))(
    'B at moment %i, A at any later one: A',
    async (second) => {
      for (let third = second; third < second + 18; third += STRIDE) {
        const { play: each, image, moments } = await ends(second, third);
        if (moments <= third) break;
        expect([second, third, each.standing()]).toEqual([second, third, image.digest]);
        expect((await each.world.store.listDuePromotions()).items).toEqual([]);
        expect(await evidence(image, each.destination)).toEqual({ sboms: 1, signatures: 1 });
      }
    },
  );

  test('end with A, even if the third event arrives in the last step of the first run', async () => {
    const image = await push('A');
    await play.playAll(async (work, _call, name) => {
      const answer = await work();
      if (name === 'closeRun' && play.world.engine.starts.length === 1) {
        await push('B');
        await push('A');
      }
      return answer;
    });
    expect(play.standing()).toBe(image.digest);
  });
});

test('the runs of one promotion can be distinguished, whatever happens to it', async () => {
  // A push; its event comes twice more while the run works.
  const first = await push();
  let again = 2;
  await play.playAll(async (work, _call, name) => {
    const answer = await work();
    if (name === 'observe' && again > 0) {
      again -= 1;
      await told({ tag: SOURCE.tag, digest: first.digest });
      await told({ tag: SOURCE.tag, digest: first.digest });
    }
    return answer;
  });
  // A push that another overtakes, and a failure that the schedule mends.
  await push('two');
  let overtaken = false;
  await play.playAll(async (work, _call, name) => {
    if (name === 'copy' && !overtaken) {
      overtaken = true;
      await pushImage(play.source, { tag: SOURCE.tag, content: 'three' });
    }
    if (name === 'verifyArrival') throw new Error('SOME_BUG: at every try');
    return work();
  });
  play.world.nowMs += 6 * 60_000;
  await play.tick();
  await play.playAll();
  // A destination tag that is moved by hand.
  play.destination.tags.set(SOURCE.tag, first.digest);
  await play.tick();
  await play.playAll();
  await told({ tag: SOURCE.tag });
  await play.playAll();

  const all = await runs();
  expect(new Set(all.map(({ promotionId }) => promotionId)).size).toBe(1);
  expect(all.map(({ trigger, result }) => `${trigger?.kind}: ${result?.outcome}`)).toEqual([
    'push: promoted',
    'follow-up: unchanged',
    'follow-up: unchanged',
    'push: superseded',
    'follow-up: failed',
    'schedule: promoted',
    'schedule: promoted',
    'push: unchanged',
  ]);
  expect(all[1]?.trigger).toMatchObject({ id: all[0]?.id, coalesced: { kind: 'push', id: 'e2' } });
  const { promotionId = '' } = all[0] ?? {};
  expect(await rowOf(play.world, promotionId)).toMatchObject({ state: 'in_sync', runOpen: false, failures: 0 });
});

describe('a destination tag', () => {
  test.each(['moved', 'deleted'] as const)('that was %s by hand is corrected by the schedule', async (how) => {
    const image = await push();
    await play.playAll();
    if (how === 'deleted') play.destination.tags.delete(SOURCE.tag);
    else await pushImage(play.destination, { tag: SOURCE.tag, content: 'by hand' });
    expect(await play.tick()).toBe(1);
    expect(outcomes(await play.playAll())).toEqual(['promoted']);
    expect(play.standing()).toBe(image.digest);
    expect(await play.tick()).toBe(0);
  });
});

describe('a destination that is locked', () => {
  test('is refused, and promoted within a day after the lock is removed, without any trigger', async () => {
    const first = await push('A');
    await play.playAll();
    play.destination.locked.add(SOURCE.tag);
    const image = await push('B');
    expect(outcomes(await play.playAll())).toEqual(['refused']);
    expect((await runs()).at(-1)?.result).toMatchObject({ code: 'DESTINATION_LOCKED' });
    for (let ticks = 0; ticks < 3; ticks += 1) {
      play.world.nowMs += 24 * 3_600_000;
      expect(await play.tick()).toBe(0);
      expect(await play.resync()).toBe(1);
      expect(outcomes(await play.playAll())).toEqual(['refused']);
      expect(await play.resync()).toBe(0);
    }
    play.world.nowMs += 24 * 3_600_000;
    expect(play.standing()).toBe(first.digest);
    play.destination.locked.clear();
    expect(await play.tick()).toBe(0);
    // A run tries it once a day.
    expect(await play.resync()).toBe(1);
    expect(outcomes(await play.playAll())).toEqual(['promoted']);
    expect(play.standing()).toBe(image.digest);
  });
});

describe('a source that may not be written', () => {
  test('fails; with "attachTo": "destination" the next tick promotes it', async () => {
    play.source.fault = ({ method }) => {
      if (method === 'pushManifest' || method === 'pushBlob') throw refusal(403, 'DENIED');
    };
    const image = await pushedBefore();
    expect(outcomes(await play.playAll())).toEqual(['failed']);
    expect((await runs()).at(-1)?.result).toMatchObject({ code: 'SOURCE_NOT_WRITABLE' });
    expect(await play.tick()).toBe(0);
    play.world.ruleList = [rule({ existing: 'promote', attachTo: 'destination' })];
    expect(await play.tick()).toBe(1);
    expect(outcomes(await play.playAll())).toEqual(['promoted']);
    expect(play.standing()).toBe(image.digest);
  });

  test('fails; when it is writable again, it is promoted after the pause', async () => {
    play.source.fault = ({ method }) => {
      if (method === 'pushManifest' || method === 'pushBlob') throw refusal(403, 'DENIED');
    };
    const image = await pushedBefore();
    await play.playAll();
    play.source.fault = undefined;
    play.world.nowMs += 6 * 60_000;
    expect(await play.tick()).toBe(1);
    await play.playAll();
    expect(play.standing()).toBe(image.digest);
  });

  /** Pushed by anybody who may push. */
  async function pushedBefore(): Promise<Descriptor> {
    const { fault } = play.source;
    play.source.fault = undefined;
    const image = await push();
    play.source.fault = fault;
    return image;
  }
});

describe('a referrer that is pushed after the promotion', () => {
  /** Plays the run that an event starts; it waits for nothing. */
  async function arrives(): Promise<void> {
    const since = play.world.nowMs;
    expect(outcomes(await play.playAll())).toEqual(['promoted']);
    expect(play.world.nowMs - since).toBeLessThan(2_000);
  }

  test.each([
    ['a scan', (subject: Descriptor) => pushArtifact(play.source, 'application/x-scan', { subject })],
    ['a signature', (subject: Descriptor) => pushSignature(play.source, subject, newSigner('them').signer)],
  ])('%s of the image, named by digest alone', async (_name, attach) => {
    const image = await push();
    await play.playAll();
    const { digest } = await attach(image);
    expect(await told({ digest })).toHaveLength(1);
    await arrives();
    const there = await play.destination.listReferrers(image.digest);
    expect(there.map((each) => each.digest)).toContain(digest);
  });

  test('of one platform is copied, and so is a signature of that referrer', async () => {
    const { root, amd64 } = await pushMultiPlatform(play.source, SOURCE.tag);
    await told({ tag: SOURCE.tag, digest: root.digest });
    await play.playAll();
    const scan = await pushArtifact(play.source, 'application/x-scan', { subject: amd64 });
    await told({ digest: scan.digest });
    await arrives();
    expect(await countReferrers(play.destination, amd64, 'application/x-scan')).toBe(1);
    const signature = await pushSignature(play.source, scan, newSigner('them').signer);
    await told({ digest: signature.digest });
    await arrives();
    expect(await countReferrers(play.destination, scan, NOTARY_SIGNATURE)).toBe(1);
  });

  test('in a list of the tag schema (sha256-…) is copied', async () => {
    const image = await push();
    await play.playAll();
    const scan = await pushArtifact(play.source, 'application/x-scan', { subject: image });
    const tag = image.digest.replace(':', '-');
    const list = await pushIndex(play.source, [scan], { tag });
    expect(await told({ tag, digest: list.digest })).toHaveLength(1);
    await arrives();
    expect(await countReferrers(play.destination, image, 'application/x-scan')).toBe(1);
  });

  test.each(['.sig', '.att', '.sbom'])('under the digest tag sha256-…%s is copied', async (suffix) => {
    const image = await push();
    await play.playAll();
    const tag = `${image.digest.replace(':', '-')}${suffix}`;
    const packed = packArtifact({ artifactType: 'application/x-cosign', layers: [] });
    await pushPacked(play.source, packed, { tag });
    expect(await told({ tag, digest: packed.descriptor.digest })).toHaveLength(1);
    await arrives();
    expect(play.destination.tags.get(tag)).toBe(packed.descriptor.digest);
  });

  test('during a run is copied by that run or the next one', async () => {
    const image = await push();
    let scan: Descriptor | undefined;
    await play.playAll(async (work, _call, name) => {
      const answer = await work();
      if (name === 'tagDestination' && scan === undefined) {
        scan = await pushArtifact(play.source, 'application/x-scan', { subject: image });
        await told({ digest: scan.digest });
      }
      return answer;
    });
    expect(await countReferrers(play.destination, image, 'application/x-scan')).toBe(1);
    expect((await play.world.store.listDuePromotions()).items).toEqual([]);
  });

  test('by this app triggers nothing', async () => {
    const image = await push();
    await play.playAll();
    for (const { digest } of await play.source.listReferrers(image.digest)) expect(await told({ digest })).toEqual([]);
    expect(await runs()).toHaveLength(1);
  });
});

describe.each(['source', 'destination'] as const)('attached at the %s', (attachTo) => {
  beforeEach(() => {
    play = newPlayedWorld(rule({ existing: 'promote', attachTo }));
  });

  test.each([
    ['SBOM', 'source', SBOM_MEDIA_TYPES.cyclonedx],
    ['SBOM', 'destination', SBOM_MEDIA_TYPES.cyclonedx],
    ['signature', 'source', NOTARY_SIGNATURE],
    ['signature', 'destination', NOTARY_SIGNATURE],
  ] as const)('a %s that is missing at the %s is made good: the same one', async (_what, where, artifactType) => {
    const image = await push();
    await play.playAll();
    const at = play[where];
    const before = await at.listReferrers(image.digest);
    for (const { digest } of await at.listReferrers(image.digest, { artifactType })) await at.deleteManifest(digest);
    const isThere = attachTo === 'source' || where === 'destination';
    expect(await play.tick()).toBe(0);
    expect(await play.resync()).toBe(isThere ? 1 : 0);
    expect(outcomes(await play.playAll())).toEqual(isThere ? ['promoted'] : []);
    const digests = (found: Descriptor[]): string[] => found.map(({ digest }) => digest).sort();
    expect(digests(await at.listReferrers(image.digest))).toEqual(digests(before));
    expect(await play.tick()).toBe(0);
  });
});
