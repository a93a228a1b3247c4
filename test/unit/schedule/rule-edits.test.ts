import { expect, test } from '@jest/globals';
import { promotionId } from '../../../src/rules/rule.js';
import { closePromotion } from '../../../src/rows/generation.js';
import type { TickState } from '../../../src/schedule/clock.js';
import { tick } from '../../../src/schedule/tick.js';
import { inSyncRow } from '../../support/in-sync.js';
import { copying, copyAs, endRuns, pushTo, scanAll, scanTick } from '../../support/scan-world.js';
import { putTags } from '../../support/many-tags.js';
import { REGISTRY, SOURCE, newWorld, rowOf } from '../../support/world.js';

// The effect of a rule edit on many promotions.

const REPOSITORIES = Array.from({ length: 10 }, (_, index) => `samples/app${index}`);
/** Promotions per repository; 10,000 in all in the full run. */
const TAGS = process.env.FULL === '1' ? 1_000 : 100;
const DUE_MS = 5 * 60_000;

test('a new deadline causes no run; a new destination reruns all promotions, and a lost event is still repaired by the next tick', async () => {
  const world = newWorld(copying());
  const at = world.now().toISOString();
  for (const repository of REPOSITORIES) {
    const { digest } = await pushTo(world, repository, 'v', 'one');
    await copyAs(world, repository, 'v', 'one');
    world.registries.repository(REGISTRY, repository).tags.clear();
    const names = putTags(world.registries.repository(REGISTRY, repository).tags, digest, TAGS);
    putTags(world.registries.repository(REGISTRY, `staging/${repository}`).tags, digest, TAGS);
    for (const tag of names) {
      const source = { registry: REGISTRY, repository, tag };
      await world.store.insertPromotion(inSyncRow(copying(), source, digest, at));
    }
  }
  const most = 5 * TAGS;
  world.maxRunsPerTick = most;
  world.scheduleRequests = { scan: 5_000, resync: 0 };
  expect(await scanAll(world)).toMatchObject({ started: 0, problems: [] });
  // The lists of new entries are no longer read to the end of the window.
  world.nowMs += 3 * 3_600_000;
  world.ruleList = [copying({ deadline: '1h', triggers: ['schedule'] })];
  const deadline = await scanAll(world);
  expect(deadline).toMatchObject({ started: 0, problems: [] });
  // No full scan either: two requests for each repository, and the catalog.
  expect(deadline.asked(REGISTRY)).toBe(2 * REPOSITORIES.length + 1);

  world.ruleList = [copying({ destination: { reference: `${REGISTRY}/elsewhere/{repository}:{tag}` } })];
  const started: number[] = [];
  for (let tick = 0; tick < 4; tick += 1) {
    world.nowMs += DUE_MS;
    // Its event is lost.
    await pushTo(world, 'samples/app9', `new${tick}`);
    started.push((await scanTick(world)).started);
    expect(
      (await rowOf(world, promotionId('staging', { ...SOURCE, repository: 'samples/app9', tag: `new${tick}` })))
        .runOpen,
    ).toBe(true);
    await endRuns(world, { outcome: 'promoted' });
  }
  // In each of the first ticks, one tag is new and comes first.
  expect(started).toEqual([most, most, 3, 1]);
}, 600_000);

test('retries and due comparisons come before the reruns of a rule edit', async () => {
  const world = newWorld(copying());
  const tags = Array.from({ length: 40 }, (_, nth) => `v${100 + nth}`);
  for (const tag of tags) {
    await pushTo(world, 'samples/app', tag, 'one');
    await copyAs(world, 'samples/app', tag, 'one');
  }
  const logged: string[] = [];
  const log = { info: (text: string) => void logged.push(text), warn: (text: string) => void logged.push(text) };
  let state: TickState = { started: 0 };
  const tickOnce = async (): Promise<void> => {
    state = await tick(world, { schedule: '0 */5 * * * *', state, log, warnOfSigning: async () => {} });
    world.nowMs += DUE_MS;
  };
  await tickOnce();
  const failed = promotionId('staging', { ...SOURCE, tag: 'v120' });
  const { runId = '', generation } = await rowOf(world, failed);
  world.engine.setState(runId, 'ended');
  await closePromotion(world, failed, runId, { generation, result: { outcome: 'failed', code: 'X' }, rule: copying() });
  await endRuns(world, { outcome: 'promoted' });
  world.nowMs += 20 * 60_000;
  world.maxRunsPerTick = 5;
  world.ruleList = [copying({ referrers: { excludeArtifactTypes: ['application/x-none'] } })];
  logged.length = 0;
  await tickOnce();
  expect((await rowOf(world, failed)).runOpen).toBe(true);
  expect(logged.filter((text) => text.startsWith('resync:'))).toEqual([expect.stringContaining('compared')]);
  expect(state.started).toBe(5);
});
