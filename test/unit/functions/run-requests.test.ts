import { InvocationContext } from '@azure/functions';
import type { Descriptor } from '../../../src/oci/index.js';
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { countedCalls } from '../../support/counted-calls.js';
import { countStoreCalls } from '../../support/counted-store.js';
import { pushImage, pushMultiPlatform } from '../../support/images.js';
import type { MemoryRepository } from '../../support/memory-repository.js';
import { newPlayedWorld, outcomes } from '../../support/played-world.js';
import { register } from '../../support/registered.js';
import { rule } from '../../support/rules.fixture.js';
import { REGISTRY, SOURCE } from '../../support/world.js';

// Requests to tables and registries, and activities, of a promotion from its push event to its result event. The figures may only shrink.
// They are calls of ports, of which lists of referrers count twice.

// A step's row is also written for each second that it works. Time stands still, so that a busy machine counts no such writes.
beforeEach(() => {
  const doNotFake = ['performance', 'nextTick', 'queueMicrotask', 'setImmediate', 'setInterval'] as const;
  jest.useFakeTimers({ now: Date.now(), doNotFake: [...doNotFake] });
});
afterEach(() => void jest.useRealTimers());

interface Counts {
  table: number;
  registry: number;
  activities: string[];
}

async function count(
  push: (source: MemoryRepository) => Promise<Pick<Descriptor, 'digest'>>,
): Promise<{ first: Counts; unchanged: Counts }> {
  const play = newPlayedWorld(rule({ existing: 'promote', sign: ['notary'], sbom: { formats: ['cyclonedx'] } }));
  const { world } = play;
  const { digest } = await push(play.source);
  const store = countStoreCalls(world);
  let registry = 0;
  world.registries = countedCalls(world.registries, () => void (registry += 1));
  world.listing = countedCalls(world.listing, () => void (registry += 1));
  const app = register(world);
  let events = 0;
  const run = async (outcome: string): Promise<Counts> => {
    store.length = 0;
    registry = 0;
    events += 1;
    world.nowMs += 60_000;
    const event = {
      id: `event-${events}`,
      eventType: 'Microsoft.ContainerRegistry.ImagePushed',
      eventTime: world.now().toISOString(),
      data: { target: { repository: SOURCE.repository, tag: SOURCE.tag, digest }, request: { host: REGISTRY } },
    };
    const context = new InvocationContext({ functionName: 'onRegistryEvent', logHandler: () => {} });
    await app.functions.get('onRegistryEvent')?.handler(event, context);
    const activities: string[] = [];
    const ended = await play.playAll((work, _call, name) => {
      activities.push(name);
      return work();
    });
    expect(outcomes(ended)).toEqual([outcome]);
    return { table: store.length, registry, activities };
  };
  return { first: await run('promoted'), unchanged: await run('unchanged') };
}

const STEPS = ['observe', 'attach', 'copy', 'verifyArrival', 'tagDestination', 'closeRun'];

function expectAtMost({ table, registry }: Counts, most: { table: number; registry: number }): void {
  expect({ table, isNoMore: table <= most.table }).toEqual({ table, isNoMore: true });
  expect({ registry, isNoMore: registry <= most.registry }).toEqual({ registry, isNoMore: true });
}

test('a first run of one image has six activities and no more requests than before', async () => {
  const { first } = await count((source) => pushImage(source, { tag: SOURCE.tag }));
  expect(first.activities).toEqual(STEPS);
  expectAtMost(first, { table: 38, registry: 63 });
});

test('a first run of two platforms has six activities and no more requests than before', async () => {
  const { first } = await count(async (source) => (await pushMultiPlatform(source, SOURCE.tag)).root);
  expect(first.activities).toEqual(STEPS);
  expectAtMost(first, { table: 50, registry: 162 });
});

test('an unchanged run has two activities and no more requests than before', async () => {
  const { unchanged } = await count((source) => pushImage(source, { tag: SOURCE.tag }));
  expect(unchanged.activities).toEqual(['observe', 'closeRun']);
  expectAtMost(unchanged, { table: 15, registry: 14 });
});
