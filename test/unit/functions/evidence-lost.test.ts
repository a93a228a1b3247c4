import { expect, test } from '@jest/globals';
import type { Descriptor, Digest } from '../../../src/oci/index.js';
import { rule } from '../../support/rules.fixture.js';
import { pushImage } from '../../support/images.js';
import { SOURCE, openRun, rowOf } from '../../support/world.js';
import { newPlayedWorld, type Around, type PlayedWorld } from '../../support/played-world.js';

// Somebody removes what a run has attached at the source before it is copied.

const MINUTE = 60_000;

interface Started {
  play: PlayedWorld;
  image: Descriptor;
  promotionId: string;
  /** The attachments are deleted, or only their list is emptied. */
  deleted: Around;
  emptied: Around;
}

async function started(): Promise<Started> {
  const play = newPlayedWorld(rule({ existing: 'promote' }));
  const image = await pushImage(play.source, { tag: SOURCE.tag });
  const { promotionId } = await openRun(play.world);
  const before =
    (change: (digest: Digest) => void): Around =>
    async (work, _call, name) => {
      if (name === 'copy') for (const { digest } of await play.source.listReferrers(image.digest)) change(digest);
      return work();
    };
  const deleted = before((digest) => play.source.manifests.delete(digest));
  const emptied = before((digest) => play.source.unlisted.add(digest));
  return { play, image, promotionId, deleted, emptied };
}

test('an attachment is copied even if the source no longer lists it', async () => {
  const { play, image, emptied } = await started();
  const [run, ...more] = await play.playAll(emptied);
  expect(run?.output).toMatchObject({ outcome: 'promoted', digest: image.digest });
  expect(more).toEqual([]);
  expect(await play.source.listReferrers(image.digest)).toEqual([]);
  expect(await play.destination.listReferrers(image.digest)).toHaveLength(2);
});

test('the run looks for a deleted attachment for two minutes and a pause, then fails; the next scheduled run attaches, copies and tags', async () => {
  const { play, image, promotionId, deleted } = await started();
  const [run, ...more] = await play.playAll(deleted);
  expect(run?.output).toMatchObject({ outcome: 'failed', code: 'EVIDENCE_LOST', remedy: expect.any(String) });
  expect(run?.elapsedMs).toBeGreaterThanOrEqual(2 * MINUTE);
  expect(run?.elapsedMs).toBeLessThan(10 * MINUTE);
  expect(more).toEqual([]);
  expect(play.standing()).toBeUndefined();
  expect(await rowOf(play.world, promotionId)).toMatchObject({ runOpen: false, state: 'failed', failures: 1 });
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

test('pushes during that wait start no second run before this one has ended, and the next one waits as long', async () => {
  const { play, deleted } = await started();
  let pushes = 0;
  const since = play.world.nowMs;
  const runs = await play.playAll(async (work, call, name) => {
    if (name === 'copy' && pushes < 20) {
      pushes += 1;
      await openRun(play.world);
    }
    return deleted(work, call, name);
  });
  expect(runs.every(({ output }) => (output as { code?: string }).code === 'EVIDENCE_LOST')).toBe(true);
  expect(runs.length).toBeLessThanOrEqual(7);
  expect(play.world.nowMs - since).toBeGreaterThanOrEqual(runs.length * 10_000);
});
