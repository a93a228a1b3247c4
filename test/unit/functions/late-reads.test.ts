import { beforeEach, describe, expect, test } from '@jest/globals';
import type { Descriptor, Digest } from '../../../src/oci/index.js';
import { cancelRun } from '../../../src/rows/cancellation.js';
import { rule } from '../../support/rules.fixture.js';
import { pushImage } from '../../support/images.js';
import { SOURCE, openRun, rowOf } from '../../support/world.js';
import { newPlayedWorld, outcomes, type PlayedWorld } from '../../support/played-world.js';

// Registries whose answers about a tag are late, or disagree: the run waits and goes on, and nothing is tried for ever.

const MINUTE = 60_000;
let play: PlayedWorld;
let first: Descriptor;
let second: Descriptor;

beforeEach(async () => {
  // Without evidence of ours, since that is no matter here.
  play = newPlayedWorld(rule({ existing: 'promote', sign: [], sbom: { formats: [] } }));
  first = await pushImage(play.source, { tag: SOURCE.tag, content: 'A' });
});

/** Types and codes of what was told. */
function told(): unknown[] {
  return play.world.queues.sent.map(({ text }) => {
    const { type, data } = JSON.parse(text) as { type: string; data: { code?: string } };
    return [type.split('.').at(-1), ...(data.code === undefined ? [] : [data.code])].join(' ');
  });
}

describe('a destination that shows the former digest after the write', () => {
  let showsUntil: number;

  beforeEach(async () => {
    await openRun(play.world);
    await play.playAll();
    second = await pushImage(play.source, { tag: SOURCE.tag, content: 'B' });
    await openRun(play.world);
    play.destination.shows = (tag, standing) =>
      tag === SOURCE.tag && play.world.nowMs < showsUntil ? first.digest : standing;
  });

  test('for minutes delays the run, which ends as promoted', async () => {
    showsUntil = play.world.nowMs + 5 * MINUTE;
    const [run, ...more] = await play.playAll();
    expect(run?.output).toMatchObject({ outcome: 'promoted', digest: second.digest });
    expect(run?.elapsedMs).toBeGreaterThanOrEqual(5 * MINUTE);
    expect(more).toEqual([]);
    expect(told()).toEqual(['promoted', 'promoted']);
  });

  test('for an hour fails the run with a remedy; when the schedule finds the tag, it sends the event promoted', async () => {
    showsUntil = play.world.nowMs + 60 * MINUTE;
    const runs = await play.playAll();
    expect(runs.map(({ output }) => output)).toEqual([
      expect.objectContaining({ outcome: 'failed', code: 'TAG_LOST', remedy: expect.any(String) }),
    ]);
    expect(runs[0]?.elapsedMs).toBeLessThan(21 * MINUTE);
    play.world.nowMs = showsUntil;
    expect(await play.tick()).toBe(1);
    await play.playAll();
    expect(told()).toEqual(['promoted', 'failed TAG_LOST', 'promoted']);
    const { items } = await play.world.store.listPromotions();
    expect(items).toMatchObject([{ state: 'in_sync', last: { outcome: 'promoted', digest: second.digest } }]);
  });
});

describe('a source with two replicas that disagree', () => {
  let reads: number;

  beforeEach(async () => {
    second = await pushImage(play.source, { tag: SOURCE.tag, content: 'B' });
    reads = 0;
  });

  /** Every other read has the tag as it was. */
  function disagree(until = Infinity): void {
    play.source.shows = (tag, standing): Digest | undefined => {
      if (tag !== SOURCE.tag || play.world.nowMs >= until) return standing;
      reads += 1;
      return reads % 2 === 0 ? first.digest : standing;
    };
  }

  test('for good has a few runs with growing pauses, then a failure, then the schedule’s pauses', async () => {
    disagree();
    const { promotionId } = await openRun(play.world);
    const since = play.world.nowMs;
    await play.playAll();
    expect(told()).toEqual(['superseded', 'superseded', 'superseded', 'failed TAG_UNSETTLED']);
    expect(play.world.nowMs - since).toBeGreaterThanOrEqual(70_000);
    expect(await rowOf(play.world, promotionId)).toMatchObject({ runOpen: false, state: 'failed', failures: 1 });
    for (const [minutes, starts] of [
      [4, 0],
      [2, 1],
    ] as const) {
      play.world.nowMs += minutes * MINUTE;
      expect(await play.tick()).toBe(starts);
    }
    await play.playAll();
    expect(await rowOf(play.world, promotionId)).toMatchObject({ runOpen: false, state: 'failed', failures: 2 });
    play.world.nowMs += 9 * MINUTE;
    expect(await play.tick()).toBe(0);
    // One that shows what the other doesn't know yet, by a list without times, tells nothing new.
    play.world.hasAcrLists = false;
    play.source.tags.set(SOURCE.tag, first.digest);
    expect(await play.tick()).toBe(0);
  });

  test('for a while is promoted by the last run', async () => {
    disagree(play.world.nowMs + 30_000);
    await openRun(play.world);
    expect(outcomes(await play.playAll()).at(-1)).toBe('promoted');
    expect(play.standing()).toBe(second.digest);
    expect(told()).toEqual(['superseded', 'superseded', 'superseded', 'promoted']);
  });

  test('has a run that can be cancelled while it pauses', async () => {
    disagree();
    const { promotionId } = await openRun(play.world);
    const { notified } = play.world.engine;
    let stopped = '';
    await play.playAll(
      async (work, _call, name) => {
        const answer = await work();
        if (name !== 'closeRun' || stopped !== '' || !('retryAfterMs' in (answer as object))) return answer;
        stopped = (await rowOf(play.world, promotionId)).runId ?? '';
        await cancelRun(play.world, stopped, { by: 'me' });
        return answer;
      },
      { event: (names) => names.find((name) => notified.some(({ event }) => event === name)) },
    );
    expect(notified).toEqual([{ id: stopped, event: expect.stringMatching(/^notify-/) }]);
    expect(await rowOf(play.world, promotionId)).toMatchObject({ state: 'cancelled', runOpen: false, runId: stopped });
    expect(told().at(-1)).toBe('cancelled RUN_CANCELLED');
  });

  test('starts the next run at once if a push comes during the pause', async () => {
    disagree();
    await openRun(play.world);
    const { notified } = play.world.engine;
    const since = play.world.nowMs;
    let pushed = false;
    await play.playAll(
      async (work, _call, name) => {
        const answer = await work();
        if (name !== 'closeRun' || pushed || !('retryAfterMs' in (answer as object))) return answer;
        pushed = true;
        play.source.shows = undefined;
        await openRun(play.world);
        return answer;
      },
      { event: (names) => names.find((name) => notified.some(({ event }) => event === name)) },
    );
    expect(notified).toHaveLength(1);
    expect(told()).toEqual(['superseded', 'superseded', 'promoted']);
    expect(play.world.nowMs - since).toBeLessThan(10_000);
  });
});
