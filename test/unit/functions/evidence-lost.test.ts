import { expect, test } from '@jest/globals';
import type { Descriptor } from '../../../src/oci/index.js';
import { rule } from '../../support/rules.fixture.js';
import { pushImage } from '../../support/images.js';
import { SOURCE, openRun, rowOf } from '../../support/world.js';
import { newPlayedWorld, type Around, type PlayedWorld } from '../../support/played-world.js';

// Somebody empties the source's list of referrers between the attachments and the copy.

const MINUTE = 60_000;

async function started(): Promise<{ play: PlayedWorld; image: Descriptor; promotionId: string; emptied: Around }> {
  const play = newPlayedWorld(rule({ existing: 'promote' }));
  const image = await pushImage(play.source, { tag: SOURCE.tag });
  const { promotionId } = await openRun(play.world);
  const emptied: Around = async (work, _call, name) => {
    if (name !== 'planCopy') return work();
    for (const { digest } of await play.source.listReferrers(image.digest)) play.source.unlisted.add(digest);
    return work();
  };
  return { play, image, promotionId, emptied };
}

test('the run looks for some ten seconds, and fails; the schedule’s next one attaches, copies and tags', async () => {
  const { play, image, promotionId, emptied } = await started();
  const [run, ...more] = await play.playAll(emptied);
  expect(run?.output).toMatchObject({ outcome: 'failed', code: 'EVIDENCE_LOST', remedy: expect.any(String) });
  expect(run?.elapsedMs).toBeGreaterThanOrEqual(10_000);
  expect(run?.elapsedMs).toBeLessThan(30_000);
  expect(more).toEqual([]);
  expect(play.standing()).toBeUndefined();
  expect(await rowOf(play.world, promotionId)).toMatchObject({ runOpen: false, state: 'failed', failures: 1 });
  play.source.unlisted.clear();
  for (const [minutes, starts] of [
    [4, 0],
    [2, 1],
  ] as const) {
    play.world.nowMs += minutes * MINUTE;
    expect(await play.tick()).toBe(starts);
  }
  const [again] = await play.playAll();
  expect(again?.output).toMatchObject({ outcome: 'promoted', digest: image.digest });
  expect(play.standing()).toBe(image.digest);
  expect(await play.destination.listReferrers(image.digest)).toHaveLength(2);
});

test('pushes while it is looked for start no second run before this one has ended, and the next one looks as long', async () => {
  const { play, emptied } = await started();
  let pushes = 0;
  const since = play.world.nowMs;
  const runs = await play.playAll(async (work, call, name) => {
    if (name === 'tagDestination' && pushes < 20) {
      pushes += 1;
      await openRun(play.world);
    }
    return emptied(work, call, name);
  });
  expect(runs.every(({ output }) => (output as { code?: string }).code === 'EVIDENCE_LOST')).toBe(true);
  expect(runs.length).toBeLessThanOrEqual(7);
  expect(play.world.nowMs - since).toBeGreaterThanOrEqual(runs.length * 10_000);
});
