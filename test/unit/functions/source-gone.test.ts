import { beforeEach, describe, expect, test } from '@jest/globals';
import type { Descriptor } from '../../../src/oci/index.js';
import { notFound } from '../../support/world.js';
import { rule } from '../../support/rules.fixture.js';
import { pushImage, pushMultiPlatform } from '../../support/images.js';
import { REGISTRY, SOURCE, openRun, rowOf, runOf } from '../../support/world.js';
import { newPlayedWorld, outcomes, type Around, type PlayedWorld } from '../../support/played-world.js';

// A source that is not there: late, for good, or something else by now.

const MINUTE = 60_000;
let play: PlayedWorld;
let image: Descriptor;

beforeEach(async () => {
  play = newPlayedWorld(rule({ existing: 'promote' }));
  image = await pushImage(play.source, { tag: SOURCE.tag });
});

/** Before which step the tag, or what it stands on, is gone. */
const STEPS = ['observe', 'attach', 'copy', 'tagDestination'] as const;
type Step = (typeof STEPS)[number];

interface Held {
  around: Around;
  /** Brings back what was taken. */
  giveBack: () => void;
}

/** Takes the whole image away before a step's first call, as a deletion by digest does. */
function vanishes(step: Step): Held {
  const { source } = play;
  let manifests = new Map(source.manifests);
  let blobs = new Map(source.blobs);
  let taken = false;
  return {
    around: async (work, call, name) => {
      if (name === step && call === 1 && !taken) {
        taken = true;
        manifests = new Map(source.manifests);
        blobs = new Map(source.blobs);
        source.tags.delete(SOURCE.tag);
        source.manifests.clear();
        source.blobs.clear();
      }
      return work();
    },
    giveBack: () => {
      for (const [digest, manifest] of manifests) source.manifests.set(digest, manifest);
      for (const [digest, blob] of blobs) source.blobs.set(digest, blob);
      source.tags.set(SOURCE.tag, image.digest);
    },
  };
}

describe.each(STEPS)('a source that disappears before %s', (step) => {
  test('for good fails the run after 15 minutes, and the schedule leaves it alone until the tag is back', async () => {
    const { promotionId } = await openRun(play.world);
    const { around, giveBack } = vanishes(step);
    const [run] = await play.playAll(around);
    expect(run?.output).toMatchObject({
      outcome: 'failed',
      code: 'SOURCE_GONE',
      reason: expect.stringContaining(`${REGISTRY}/${SOURCE.repository}`),
      remedy: expect.any(String),
    });
    expect(run?.elapsedMs).toBeGreaterThanOrEqual(15 * MINUTE);
    expect(run?.elapsedMs).toBeLessThan(21 * MINUTE);
    expect(play.standing()).toBeUndefined();
    expect(await rowOf(play.world, promotionId)).toMatchObject({
      runOpen: false,
      state: 'failed',
      observedGeneration: 1,
    });
    // Nothing is left behind at the source that refers to nothing.
    expect(play.source.manifests.size).toBe(0);
    for (let ticks = 0; ticks < 5; ticks += 1) {
      play.world.nowMs += 60 * MINUTE;
      expect(await play.tick()).toBe(0);
    }
    giveBack();
    expect(await play.tick()).toBe(1);
    expect(outcomes(await play.playAll())).toEqual(['promoted']);
    expect(play.standing()).toBe(image.digest);
  });

  test('for a while, as at a stale replica, lets the same run continue', async () => {
    const { runId } = await openRun(play.world);
    const { around, giveBack } = vanishes(step);
    const since = play.world.nowMs;
    const runs = await play.playAll(async (work, call, name) => {
      if (play.world.nowMs - since > 5 * MINUTE) giveBack();
      return around(work, call, name);
    });
    expect(outcomes(runs)).toEqual(['promoted']);
    expect(play.standing()).toBe(image.digest);
    expect((await play.world.store.listProgress(runId)).map(({ state }) => state)).not.toContain('waiting');
  });

  test('and returns with another image makes the run superseded, and the next run promotes the image', async () => {
    const { promotionId, rule: which } = await openRun(play.world);
    const { around } = vanishes(step);
    const since = play.world.nowMs;
    let other: Descriptor | undefined;
    const runs = await play.playAll(async (work, call, name) => {
      if (other === undefined && play.world.nowMs - since > MINUTE) {
        other = await pushImage(play.source, { tag: SOURCE.tag, content: 'two' });
        // Its event is lost.
      }
      return around(work, call, name);
    });
    // Before it was observed the run is about whatever the tag means.
    expect(outcomes(runs)).toEqual(step === 'observe' ? ['promoted'] : ['superseded', 'promoted']);
    expect(play.standing()).toBe(other?.digest);
    expect(await rowOf(play.world, promotionId)).toMatchObject({ state: 'in_sync', rule: which.name });
    expect(play.world.nowMs - since).toBeLessThan(15 * MINUTE);
  });
});

test('a tag that is deleted after its promotion leaves the promoted copy unchanged', async () => {
  const { promotionId } = await openRun(play.world);
  await play.playAll();
  await play.source.deleteManifest(image.digest);
  await openRun(play.world);
  const [run] = await play.playAll();
  expect(run?.output).toMatchObject({ outcome: 'failed', code: 'SOURCE_GONE' });
  expect(play.standing()).toBe(image.digest);
  play.world.nowMs += 24 * 60 * MINUTE;
  expect(await play.tick()).toBe(0);
  expect(await rowOf(play.world, promotionId)).toMatchObject({ runOpen: false, state: 'failed' });
});

describe('a source that is deleted during its run, with an event', () => {
  /** Before the SBOM is made; then somebody does something, with the run's last step. */
  async function deleted(atLast: () => Promise<unknown> = async () => {}): Promise<unknown[]> {
    await openRun(play.world);
    let isDeleted = false;
    let isLast = false;
    const runs = await play.playAll(async (work, _call, name) => {
      if (name === 'attach' && !isDeleted) {
        isDeleted = true;
        play.source.tags.delete(SOURCE.tag);
        await openRun(play.world, rule({ existing: 'promote' }), SOURCE, 'deletion');
      }
      if (name === 'closeRun' && !isLast) {
        isLast = true;
        await atLast();
      }
      return work();
    });
    return outcomes(runs);
  }

  test('has one run, which waits once and fails once, and answers both triggers', async () => {
    expect(await deleted()).toEqual(['failed']);
    const { items } = await play.world.store.listPromotions();
    expect(items).toMatchObject([
      { runOpen: false, state: 'failed', generation: 2, observedGeneration: 2, failures: 1 },
    ]);
    expect(play.world.queues.sent).toHaveLength(1);
  });

  test('is promoted by the next run if the tag is back when the run closes', async () => {
    const back = async (): Promise<unknown> => play.source.tags.set(SOURCE.tag, image.digest);
    expect(await deleted(back)).toEqual(['failed', 'promoted']);
    expect(play.standing()).toBe(image.digest);
  });

  test('is promoted by the next run if it was pushed again and a replica is stale', async () => {
    const pushed = async (): Promise<unknown> => {
      play.source.shows = (_tag, standing) => (play.world.nowMs < since + 60_000 ? undefined : standing);
      const since = play.world.nowMs;
      play.source.tags.set(SOURCE.tag, image.digest);
      return openRun(play.world);
    };
    expect(await deleted(pushed)).toEqual(['failed', 'promoted']);
    expect(play.standing()).toBe(image.digest);
  });
});

test('a missing part under an existing tag fails the run, and it is tried again with growing pauses', async () => {
  const { amd64 } = await pushMultiPlatform(play.source, SOURCE.tag);
  await openRun(play.world);
  play.source.manifests.delete(amd64.digest);
  const [run] = await play.playAll();
  expect(run?.output).toMatchObject({
    outcome: 'failed',
    code: 'SOURCE_GONE',
    reason: expect.stringContaining(amd64.digest),
  });
  expect(await play.tick()).toBe(0);
  play.world.nowMs += 6 * MINUTE;
  expect(await play.tick()).toBe(1);
});

test('a push during the wait wakes the run', async () => {
  const { runId, promotionId, rule: which } = await openRun(play.world);
  play.source.tags.delete(SOURCE.tag);
  const { notified } = play.world.engine;
  const since = play.world.nowMs;
  let pushed = false;
  const runs = await play.playAll(
    async (work, call, name) => {
      const answer = await work();
      if (name !== 'observe' || call !== 4 || pushed) return answer;
      pushed = true;
      play.source.tags.set(SOURCE.tag, image.digest);
      await openRun(play.world, which);
      return answer;
    },
    { event: (names) => names.find((name) => notified.some(({ event }) => event === name)) },
  );
  expect(notified).toEqual([{ id: runId, event: expect.stringMatching(/^notify-/) }]);
  expect(outcomes(runs)).toEqual(['promoted']);
  expect(play.world.nowMs - since).toBeLessThan(MINUTE);
  expect(await runOf(play.world, runId)).toMatchObject({ state: 'ended' });
  // Nothing was listed before it came: the run answers it.
  expect(await rowOf(play.world, promotionId)).toMatchObject({
    state: 'in_sync',
    generation: 2,
    observedGeneration: 2,
  });
});

test('content that is missing at the destination does not count as a missing source', async () => {
  await openRun(play.world);
  play.destination.fault = ({ method }) => {
    if (method === 'pushManifest') throw notFound('NAME_UNKNOWN', 'staging/samples/app');
  };
  const [run] = await play.playAll();
  expect(run?.output).not.toMatchObject({ code: 'SOURCE_GONE' });
  expect(run?.output).toMatchObject({ outcome: 'failed' });
});
