import { InvocationContext } from '@azure/functions';
import { beforeEach, describe, expect, test } from '@jest/globals';
import type { Descriptor } from '../../../src/oci/index.js';
import { explainReference } from '../../../src/promotions/explain-reference.js';
import { promotionId } from '../../../src/rules/rule.js';
import { rule } from '../../support/rules.fixture.js';
import { pushImage } from '../../support/images.js';
import { newPlayedWorld, outcomes, type PlayedWorld } from '../../support/played-world.js';
import { register, type Registered } from '../../support/registered.js';
import { REGISTRY, SOURCE, openRun, rowOf } from '../../support/world.js';

// Tags that read as they were before their push, by the app's own handlers: what is waited for, and what is not.

const MINUTE = 60_000;
const P1 = promotionId('staging', SOURCE);
let play: PlayedWorld;
let app: Registered;
let first: Descriptor;
let second: Descriptor;
let events: number;

beforeEach(async () => {
  // Without evidence of ours, since that is no matter here.
  play = newPlayedWorld(rule({ existing: 'promote', sign: [], sbom: { formats: [] } }));
  app = register(play.world);
  events = 0;
  first = await pushImage(play.source, { tag: SOURCE.tag, content: 'A' });
  second = await pushImage(play.source, { content: 'B' });
});

/** A registry reports what happened to the tag, just now by default. */
async function tell(kind: 'ImagePushed' | 'ImageDeleted', digest?: string, ageMs = 0): Promise<void> {
  events += 1;
  const event = {
    id: `event-${events}`,
    eventType: `Microsoft.ContainerRegistry.${kind}`,
    eventTime: new Date(play.world.nowMs - ageMs).toISOString(),
    data: { target: { repository: SOURCE.repository, tag: SOURCE.tag, digest }, request: { host: REGISTRY } },
  };
  const context = new InvocationContext({ functionName: 'onRegistryEvent', logHandler: () => {} });
  await app.functions.get('onRegistryEvent')?.handler(event, context);
}

/** Somebody moves the tag, and it is told; then all runs are played. @returns how they ended, and how long that took */
async function push({ digest }: Descriptor): Promise<{ ends: unknown[]; tookMs: number }> {
  play.world.nowMs += MINUTE;
  play.source.tags.set(SOURCE.tag, digest);
  await tell('ImagePushed', digest);
  return played();
}

async function played(): Promise<{ ends: unknown[]; tookMs: number }> {
  const since = play.world.nowMs;
  const ends = outcomes(await play.playAll());
  // A step of what is played takes a millisecond.
  return { ends, tookMs: Math.floor((play.world.nowMs - since) / 1000) * 1000 };
}

/** The tag reads as this for so long. */
function reads({ digest }: Descriptor, forMs: number): void {
  const untilMs = play.world.nowMs + forMs;
  play.source.shows = (tag, standing) => (tag === SOURCE.tag && play.world.nowMs < untilMs ? digest : standing);
}

describe('a run does not wait', () => {
  beforeEach(async () => {
    expect(await push(first)).toEqual({ ends: ['promoted'], tookMs: 0 });
  });

  test('if a tag moves on, back, and on again', async () => {
    for (const image of [second, first, second]) {
      expect(await push(image)).toEqual({ ends: ['promoted'], tookMs: 0 });
      expect(play.standing()).toBe(image.digest);
    }
  });

  test('if the same digest is pushed again, and it restores what is missing at the destination', async () => {
    expect(await push(first)).toEqual({ ends: ['unchanged'], tookMs: 0 });
    play.destination.tags.delete(SOURCE.tag);
    expect(await push(first)).toEqual({ ends: ['promoted'], tookMs: 0 });
    expect(play.standing()).toBe(first.digest);
  });

  test.each(['the tag', 'the manifest'])(
    'if %s is deleted: the run ends at once, and so it does when it is pushed again',
    async (what) => {
      play.source.tags.delete(SOURCE.tag);
      if (what === 'the tag') await tell('ImageDeleted');
      else {
        const event = { repository: SOURCE.repository, digest: first.digest };
        await deletedManifest(event);
      }
      expect(await played()).toEqual({ ends: ['failed'], tookMs: 0 });
      expect((await rowOf(play.world, P1)).last).toMatchObject({ code: 'SOURCE_GONE' });
      expect(play.standing()).toBe(first.digest);
      expect(await push(second)).toEqual({ ends: ['promoted'], tookMs: 0 });
    },
  );

  test('if events arrive in another order or more than once', async () => {
    play.world.nowMs += MINUTE;
    play.source.tags.set(SOURCE.tag, second.digest);
    await tell('ImagePushed', second.digest);
    expect(await played()).toEqual({ ends: ['promoted'], tookMs: 0 });
    // The event of the earlier push, and the event of this push a second time.
    await tell('ImagePushed', first.digest, 2 * MINUTE);
    await tell('ImagePushed', second.digest);
    expect(await played()).toMatchObject({ tookMs: 0 });
    expect(play.standing()).toBe(second.digest);
  });

  test('if the tag has a digest that no event reported', async () => {
    const third = await pushImage(play.source, { tag: SOURCE.tag, content: 'C' });
    await openRun(play.world);
    expect(await played()).toEqual({ ends: ['promoted'], tookMs: 0 });
    expect(play.standing()).toBe(third.digest);
  });

  async function deletedManifest(target: object): Promise<void> {
    const event = {
      id: 'deleted',
      eventType: 'Microsoft.ContainerRegistry.ImageDeleted',
      eventTime: new Date(play.world.nowMs).toISOString(),
      data: { target, request: { host: REGISTRY } },
    };
    const context = new InvocationContext({ functionName: 'onRegistryEvent', logHandler: () => {} });
    await app.functions.get('onRegistryEvent')?.handler(event, context);
  }
});

describe('a tag that still reads its digest from before the push', () => {
  beforeEach(() => push(first));

  test('is waited for, and promoted when the registry returns the new digest', async () => {
    reads(first, 10 * MINUTE);
    const { ends, tookMs } = await push(second);
    expect(ends).toEqual(['promoted']);
    expect(tookMs).toBeLessThan(16 * MINUTE);
    expect(play.standing()).toBe(second.digest);
  });

  test('is explained with the pushed digest and the digest that the registry returns', async () => {
    reads(first, 10 * MINUTE);
    let text = '';
    play.world.nowMs += MINUTE;
    const at = new Date(play.world.nowMs).toISOString();
    play.source.tags.set(SOURCE.tag, second.digest);
    await tell('ImagePushed', second.digest);
    await play.playAll(async (work) => {
      const answer = await work();
      if (text === '')
        text =
          (await explainReference({ ...play.world, signing: undefined }, `${REGISTRY}/${SOURCE.repository}:v1`))
            .promotions[0]?.text ?? '';
      return answer;
    });
    expect(text).toContain(`still has ${first.digest}, and the push at ${at} named ${second.digest}`);
    expect(text).toContain('next try at about');
  });

  test('is believed after a quarter of an hour', async () => {
    reads(first, Infinity);
    const { ends, tookMs } = await push(second);
    expect(ends).toEqual(['unchanged']);
    expect(tookMs).toBeGreaterThanOrEqual(15 * MINUTE);
    expect(tookMs).toBeLessThan(21 * MINUTE);
    expect(play.standing()).toBe(first.digest);
    await openRun(play.world);
    expect(await played()).toEqual({ ends: ['unchanged'], tookMs: 0 });
    // It comes after all, and somebody looks.
    play.source.shows = undefined;
    await openRun(play.world);
    expect(await played()).toEqual({ ends: ['promoted'], tookMs: 0 });
    expect(play.standing()).toBe(second.digest);
  });

  test('is waited for once; later steps and the next run believe it', async () => {
    play.world.nowMs += MINUTE;
    play.source.tags.set(SOURCE.tag, second.digest);
    await tell('ImagePushed', second.digest);
    const since = play.world.nowMs;
    const ends = outcomes(
      await play.playAll(async (work) => {
        const answer = await work();
        // From the first step on, the registry answers as before the push.
        reads(first, Infinity);
        return answer;
      }),
    );
    expect(ends).toEqual(['superseded', 'unchanged']);
    expect(play.world.nowMs - since).toBeLessThan(21 * MINUTE);
    expect(play.standing()).toBe(first.digest);
  });

  test('does not move the destination back after the push was promoted, whatever triggers a run', async () => {
    await push(second);
    reads(first, 5 * MINUTE);
    await openRun(play.world);
    const { ends } = await played();
    expect(ends).toEqual(['unchanged']);
    expect(play.standing()).toBe(second.digest);
  });

  test('is promoted if its digest was never answered, and the pushed digest is promoted after it', async () => {
    const third = await pushImage(play.source, { content: 'C' });
    reads(third, 5 * MINUTE);
    const { ends } = await push(second);
    expect(ends).toEqual(['promoted', 'promoted']);
    expect(play.standing()).toBe(second.digest);
  });

  test('during a further push wakes the run', async () => {
    reads(first, 10 * MINUTE);
    play.world.nowMs += MINUTE;
    play.source.tags.set(SOURCE.tag, second.digest);
    await tell('ImagePushed', second.digest);
    const third = await pushImage(play.source, { content: 'C' });
    const since = play.world.nowMs;
    let told = false;
    await play.playAll(async (work) => {
      const answer = await work();
      if (!told && play.world.nowMs - since > MINUTE) {
        told = true;
        play.source.shows = undefined;
        play.source.tags.set(SOURCE.tag, third.digest);
        await tell('ImagePushed', third.digest);
      }
      return answer;
    });
    expect(play.world.engine.notified).not.toEqual([]);
    expect(play.standing()).toBe(third.digest);
  });
});

test('a destination with a stale replica gets the digest to which the source went back', async () => {
  await push(first);
  await push(second);
  play.destination.shows = (tag, standing) => (tag === SOURCE.tag ? first.digest : standing);
  await push(first);
  expect(play.destination.tags.get(SOURCE.tag)).toBe(first.digest);
});
