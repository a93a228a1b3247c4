import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import type { StepProgress } from '../../../src/rows/step-progress.js';
import { rule } from '../../support/rules.fixture.js';
import { pushArtifact, pushImage } from '../../support/images.js';
import { SOURCE, notFound, openRun } from '../../support/world.js';
import { newPlayedWorld, type PlayedWorld } from '../../support/played-world.js';
import { ARRIVAL } from '../../../src/oci/index.js';

// A graph that takes several calls, and something in it that is waited for: as long as for that of a small one.

const REFERRERS = 12;
const MINUTE = 60_000;

let played: PlayedWorld;
/** Of the last referrer that was pushed. */
let last: string;
let began: number;
beforeEach(async () => {
  jest.replaceProperty(ARRIVAL, 'pausesMs', [0, 1, 1, 1, 1] as unknown as typeof ARRIVAL.pausesMs);
  played = newPlayedWorld(rule({ sbom: { formats: [] }, sign: [] }));
  const { world, source } = played;
  world.callBounds = { ...world.callBounds, requests: 10 };
  const root = await pushImage(source, { tag: SOURCE.tag });
  for (let index = 0; index < REFERRERS; index += 1)
    last = (await pushArtifact(source, `application/x-report-${index}`, { subject: root })).digest;
  began = world.nowMs;
});
afterEach(() => void jest.restoreAllMocks());

test('a referrer that is listed but missing delays the promotion by two minutes, with a bounded number of requests', async () => {
  const { world, source, playAll } = played;
  source.fault = ({ method, what }) => {
    if (method === 'fetchManifest' && what === last) throw notFound('MANIFEST_UNKNOWN', what);
  };
  await openRun(world);
  const [{ output, calls } = { calls: [] }] = await playAll();
  expect(output).toMatchObject({ outcome: 'promoted' });
  expect(world.nowMs - began).toBeGreaterThanOrEqual(2 * MINUTE);
  expect(world.nowMs - began).toBeLessThan(6 * MINUTE);
  expect(calls.filter(({ name }) => name === 'copy').length).toBeLessThan(20);
});

test('a referrer that the destination never lists fails the run after a quarter of an hour, and the row names it', async () => {
  const { world, destination, playAll } = played;
  destination.unlisted.add(last);
  const rows: StepProgress[] = [];
  const put = world.store.putProgress.bind(world.store);
  world.store.putProgress = (row) => {
    rows.push(row);
    return put(row);
  };
  await openRun(world);
  const [{ output, calls } = { calls: [] }] = await playAll();
  expect(output).toMatchObject({ outcome: 'failed', code: 'REFERRER_LOST' });
  expect(world.nowMs - began).toBeGreaterThanOrEqual(15 * MINUTE);
  expect(world.nowMs - began).toBeLessThan(25 * MINUTE);
  const arrivals = rows.filter(({ step }) => step === 'verifyArrival');
  const tries = arrivals.flatMap(({ waitsFor }) => waitsFor?.tries ?? []);
  expect(tries).toEqual(tries.map((_, index) => index + 1));
  expect(tries.length).toBeGreaterThan(5);
  // Between its waits as well: each try takes several calls.
  expect(calls.filter(({ name }) => name === 'verifyArrival').length).toBeGreaterThan(2 * tries.length);
  expect(
    arrivals.filter(({ state, text }) => state === 'working' && text.startsWith('tried again, after REFERRER_LOST')),
  ).not.toHaveLength(0);
});
