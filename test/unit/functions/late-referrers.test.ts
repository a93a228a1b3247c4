import { InvocationContext } from '@azure/functions';
import { beforeEach, describe, expect, test } from '@jest/globals';
import type { Descriptor } from '../../../src/oci/index.js';
import { explainReference } from '../../../src/promotions/explain-reference.js';
import { promotionId } from '../../../src/rules/rule.js';
import { rule } from '../../support/rules.fixture.js';
import { pushArtifact, pushImage } from '../../support/images.js';
import { newPlayedWorld, outcomes, type PlayedWorld } from '../../support/played-world.js';
import { register, type Registered } from '../../support/registered.js';
import { REGISTRY, SOURCE, rowOf } from '../../support/world.js';

// Referrers whose push was reported and that the source does not list yet, by the app's own handlers.

const MINUTE = 60_000;
const P1 = promotionId('staging', SOURCE);
let play: PlayedWorld;
let app: Registered;
let image: Descriptor;
let sent: number;

beforeEach(async () => {
  // Without evidence of ours, since that is no matter here.
  play = newPlayedWorld(rule({ existing: 'promote', sign: [], sbom: { formats: [] } }));
  app = register(play.world);
  sent = 0;
  image = await pushImage(play.source, { tag: SOURCE.tag });
  await tell({ tag: SOURCE.tag, digest: image.digest });
  expect(outcomes(await play.playAll())).toEqual(['promoted']);
});

async function deliver(door: string, body: unknown): Promise<void> {
  const triggerMetadata = { id: 'm', insertionTime: new Date(play.world.nowMs).toISOString() };
  const context = new InvocationContext({ functionName: door, logHandler: () => {}, triggerMetadata });
  await app.functions.get(door)?.handler(body, context);
}

async function tell(target: { digest: string; tag?: string }): Promise<void> {
  await deliver('onRegistryEvent', {
    id: `event-${target.digest.slice(-8)}`,
    eventType: 'Microsoft.ContainerRegistry.ImagePushed',
    eventTime: new Date(play.world.nowMs).toISOString(),
    data: { target: { repository: SOURCE.repository, ...target }, request: { host: REGISTRY } },
  });
}

/** Somebody attaches a report, and it is told; it is listed from then on. */
async function attach(listedAfterMs: number): Promise<Descriptor> {
  const report = await pushArtifact(play.source, 'application/x-report', { subject: image });
  const listedMs = play.world.nowMs + listedAfterMs;
  play.source.replica = (there, read) => {
    if (play.world.nowMs >= listedMs) return read(there);
    const before = new Map([...there.manifests].filter(([digest]) => digest !== report.digest));
    return read({ ...there, referrers: before });
  };
  await tell({ digest: report.digest });
  return report;
}

/** Delivers what the app has put into its queue, each when its time has come, with the runs that it starts. @returns the pauses, in seconds */
async function deliverQueued(): Promise<number[]> {
  const pauses: number[] = [];
  const { queues } = play.world;
  for (; sent < queues.sent.length; sent += 1) {
    const { queue, text, delaySeconds } = queues.sent[sent] ?? { queue: '', text: '', delaySeconds: 0 };
    if (queue !== 'registry-events') continue;
    pauses.push(delaySeconds);
    play.world.nowMs += delaySeconds * 1000;
    await deliver('onRegistryEventMessage', JSON.parse(text));
    await play.playAll();
  }
  return pauses;
}

const arrived = ({ digest }: Descriptor): boolean => play.destination.manifests.has(digest);

test('a referrer that is listed within two minutes is waited for by the run', async () => {
  const report = await attach(MINUTE);
  const since = play.world.nowMs;
  expect(outcomes(await play.playAll())).toEqual(['promoted']);
  expect(play.world.nowMs - since).toBeLessThan(3 * MINUTE);
  expect(arrived(report)).toBe(true);
  expect(await deliverQueued()).toEqual([]);
  expect((await rowOf(play.world, P1)).news?.referrers).toMatchObject([{ digest: report.digest, seen: true }]);
});

test('a referrer that is listed later is looked for again without a trigger', async () => {
  const report = await attach(10 * MINUTE);
  const since = play.world.nowMs;
  expect(outcomes(await play.playAll())).toEqual(['unchanged']);
  expect(play.world.nowMs - since).toBeGreaterThanOrEqual(2 * MINUTE);
  expect(arrived(report)).toBe(false);
  const { promotions } = await explainReference(
    { ...play.world, signing: undefined },
    `${REGISTRY}/${SOURCE.repository}:v1`,
  );
  expect(promotions[0]?.text).toContain(`the referrer ${report.digest}, reported at `);
  expect(await deliverQueued()).toEqual([120, 240]);
  expect(arrived(report)).toBe(true);
  expect(play.world.nowMs - since).toBeLessThan(15 * MINUTE);
});

test('a referrer that is never listed is looked for for a day', async () => {
  await attach(Infinity);
  const since = play.world.nowMs;
  await play.playAll();
  const pauses = await deliverQueued();
  expect(pauses.slice(0, 7)).toEqual([120, 240, 480, 960, 1_920, 3_600, 3_600]);
  expect(play.world.nowMs - since).toBeGreaterThan(23 * 60 * MINUTE);
  expect(play.world.nowMs - since).toBeLessThan(26 * 60 * MINUTE);
  expect(pauses.length).toBeLessThan(32);
});

test('a referrer that was deleted is asked for for a quarter of an hour', async () => {
  const report = await attach(Infinity);
  await play.playAll();
  play.source.manifests.delete(report.digest);
  const since = play.world.nowMs;
  await deliverQueued();
  expect(play.world.nowMs - since).toBeLessThan(18 * MINUTE);
  const { items } = await play.world.store.listIgnored();
  expect(items.map(({ reason }) => reason)).toEqual([expect.stringContaining(report.digest)]);
});

describe('a run that copies', () => {
  test('waits for a reported referrer, too, and reports the wait', async () => {
    const other = await pushImage(play.source, { content: 'two' });
    const report = await attach(MINUTE);
    play.source.tags.set(SOURCE.tag, other.digest);
    play.source.tags.set(SOURCE.tag, image.digest);
    play.destination.tags.delete(SOURCE.tag);
    const said: string[] = [];
    await play.playAll(async (work) => {
      const answer = await work();
      if (typeof answer === 'object' && answer !== null && 'trouble' in answer)
        said.push((answer.trouble as { message: string }).message);
      return answer;
    });
    expect(said[0]).toContain(`does not list 1 referrers whose push was reported: ${report.digest}`);
    expect(arrived(report)).toBe(true);
  });
});

test('a referrer that the rule excludes is not waited for, and neither are its referrers', async () => {
  play.world.ruleList = [
    rule({
      existing: 'promote',
      sign: [],
      sbom: { formats: [] },
      referrers: { excludeArtifactTypes: ['application/x-report'] },
    }),
  ];
  const since = play.world.nowMs;
  const report = await attach(0);
  await play.playAll();
  const signature = await pushArtifact(play.source, 'application/x-signature', { subject: report });
  await tell({ digest: signature.digest });
  await play.playAll();
  expect(play.world.nowMs - since).toBeLessThan(MINUTE);
  expect(await deliverQueued()).toEqual([]);
});

test('a duplicate of the event after the referrer has arrived costs reads only', async () => {
  const report = await attach(0);
  await play.playAll();
  const { starts } = play.world.engine;
  const before = starts.length;
  const { at } = (await rowOf(play.world, P1)).news?.referrers[0] ?? { at: '' };
  const nowMs = play.world.nowMs;
  play.world.nowMs = Date.parse(at);
  await tell({ digest: report.digest });
  play.world.nowMs = nowMs;
  expect(starts).toHaveLength(before);
});
