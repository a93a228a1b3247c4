import { expect, test } from '@jest/globals';
import type { TickState } from '../../../src/schedule/clock.js';
import { tick } from '../../../src/schedule/tick.js';
import { countStoreCalls } from '../../support/counted-store.js';
import { pushImage } from '../../support/images.js';
import { inSyncRow, putInSync } from '../../support/in-sync.js';
import { rule } from '../../support/rules.fixture.js';
import { REGISTRY, SOURCE, newWorld } from '../../support/world.js';

// The table requests of a quiet tick depend on the number of repositories, not of promotions.

const MINUTE_MS = 60_000;
const MANY = process.env.FULL === '1' ? 100_000 : 2_000;

async function quietTicks(repositories: number, promotions: number): Promise<{ minute: number; scan: number }> {
  const which = rule({ existing: 'promote', sign: [], sbom: { formats: [] } });
  const world = newWorld(which);
  world.nowMs = Date.UTC(2026, 0, 1, 12, 0, 10);
  for (let index = 0; index < repositories; index += 1) {
    const source = { ...SOURCE, repository: `samples/app-${index}` };
    await pushImage(world.registries.repository(REGISTRY, source.repository), { tag: source.tag });
    await putInSync(world, which, source);
  }
  const asked = countStoreCalls(world);
  const { store } = world;
  let state: TickState = { started: 0 };
  const log = { info: () => undefined, warn: (text: string) => void warned.push(text) };
  const warned: string[] = [];
  const next = async (): Promise<number> => {
    asked.length = 0;
    world.nowMs += MINUTE_MS;
    state = await tick(world, { schedule: '0 */5 * * * *', state, log, warnOfSigning: async () => undefined });
    return asked.length;
  };
  // The first full scans and the change scans that follow.
  for (let minutes = 0; minutes < 10; minutes += 1) await next();
  const finishedAt = world.now().toISOString();
  for (let index = 0; index < promotions; index += 1) {
    const source = { registry: REGISTRY, repository: 'samples/app-0', tag: `t${index}` };
    await store.insertPromotion(inSyncRow(which, source, 'sha256:0', finishedAt));
  }
  const counts: number[] = [];
  for (let minutes = 0; minutes < 5; minutes += 1) counts.push(await next());
  expect(warned).toEqual([]);
  expect(world.engine.starts).toHaveLength(repositories);
  return { minute: Math.min(...counts), scan: Math.max(...counts) };
}

test(`a quiet tick sends as many table requests with ${MANY} promotions as with 100`, async () => {
  const [few, many] = [await quietTicks(1, 100), await quietTicks(1, MANY)];
  process.stdout.write(`quiet tick, 1 repository: ${few.minute} table requests, ${few.scan} with a scan\n`);
  expect(many).toEqual(few);
  expect(few.minute).toBeLessThanOrEqual(10);
}, 240_000);

test('a scan sends two requests per repository, and housekeeping one per digest that it checks', async () => {
  const [one, ten] = [await quietTicks(1, 0), await quietTicks(10, 0)];
  process.stdout.write(`10 repositories: ${ten.minute} table requests, ${ten.scan} with a scan\n`);
  expect(ten.minute).toBe(one.minute);
  // Housekeeping checks a hundred digests at most. Resync sends four requests for each promotion that it compares.
  expect(ten.scan - one.scan).toBeLessThanOrEqual((2 + 1 + 1) * 9);
}, 240_000);
