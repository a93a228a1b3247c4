import { InvocationContext } from '@azure/functions';
import { beforeEach, describe, expect, test } from '@jest/globals';
import type { ActivityReply } from '../../../src/functions/durable-driver.js';
import { CopyError, TransportError } from '../../../src/oci/index.js';
import type { Attempt } from '../../../src/promotions/backoff.js';
import { explain } from '../../../src/promotions/explain.js';
import { rule } from '../../support/rules.fixture.js';
import { register } from '../../support/registered.js';
import { SOURCE, newWorld, openRun, rowOf, type World } from '../../support/world.js';
import { runningStatus } from '../../../src/functions/http/running-status.js';

const DESTINATION = 'staging.azurecr.io';
const MINUTE = 60_000;
let world: World;
beforeEach(() => {
  world = newWorld(rule({ destination: { reference: `${DESTINATION}/{repository}:{tag}` } }));
  world.nowMs = Date.UTC(2026, 0, 1, 12, 3, 20);
});

/** A step of a run whose registry gives no answer. */
async function tried(
  host: string,
  code = 'TIMEOUT',
  attempt?: Partial<Attempt>,
  tag = SOURCE.tag,
): Promise<{ promotionId: string; runId: string }> {
  const run = await openRun(world, undefined, { ...SOURCE, tag });
  const cause = new TransportError(code, `no answer`, {
    details: { causes: ['ECONNREFUSED'], url: `https://${host}/v2/samples/app/manifests/v1` },
  });
  const error = new CopyError(code, 'at the destination: no answer', { cause, transient: true });
  world.registries.repository = () => {
    throw error;
  };
  const told = attempt && { untilMs: world.nowMs + 60 * MINUTE, ...attempt };
  const context = new InvocationContext({ functionName: 'observe', logHandler: () => {} });
  const handler = register(world).activities.get('observe')?.handler;
  const reply = (await handler?.({ ...run, ...(told && { attempt: told }) }, context)) as ActivityReply;
  expect(reply).toMatchObject({ trouble: { code }, retryAfterMs: expect.any(Number) });
  return run;
}
const textOf = async (runId: string): Promise<string> =>
  (await world.store.listProgress(runId)).find(({ step }) => step === 'observe')?.text ?? '';
async function warnings(): Promise<string[]> {
  const status = await runningStatus({
    identity: { version: '1', settings: [] },
    registries: [
      { host: DESTINATION, signIn: 'identity' },
      { host: SOURCE.registry, signIn: 'identity' },
    ],
    rules: { loaded: async () => ({ count: 1, since: '' }) },
    queues: { length: async () => 0 },
    signing: undefined,
    paused: false,
    now: () => world.now(),
    store: world.store,
  });
  return status.warnings.map(({ code, message }) => `${code}: ${message}`);
}

describe('a registry that does not answer', () => {
  test('is named in the run, in explain and in status at the first try', async () => {
    const { promotionId, runId } = await tried(DESTINATION);
    const text = `destination ${DESTINATION} not answering since 12:03 (timeout, 1 try, next 12:03)`;
    expect(await textOf(runId)).toBe(text);
    const explained = explain({
      name: SOURCE,
      rules: world.ruleList,
      paused: false,
      rows: [await rowOf(world, promotionId)],
      steps: new Map([[runId, await world.store.listProgress(runId)]]),
      ignored: [],
      seen: new Map(),
      evidence: new Map(),
    });
    expect(explained.promotions).toMatchObject([{ state: 'working', text, step: 'observe', code: 'TIMEOUT' }]);
    expect(await warnings()).toEqual([`REGISTRY_NOT_ANSWERING: ${text}`]);
  });

  test('is reported with the number of tries and the time of the first', async () => {
    const sinceMs = world.nowMs;
    world.nowMs += 5 * MINUTE;
    const { runId } = await tried(DESTINATION, 'TIMEOUT', {
      count: 9,
      sinceMs: sinceMs - MINUTE,
      code: 'TIMEOUT',
      codeSinceMs: sinceMs,
    });
    expect(await textOf(runId)).toMatch(
      /^destination staging\.azurecr\.io not answering since 12:03 \(timeout, 10 tries, next 12:1[23]\)$/,
    );
  });

  test.each([
    [
      'CONNECT_FAILED',
      SOURCE.registry,
      'source r.azurecr.io not answering since 12:03 (no connection: ECONNREFUSED, 1 try, next 12:03)',
    ],
    ['STALLED', 'blobs.example', 'blobs.example not answering since 12:03 (stalled, 1 try, next 12:03)'],
  ])('%s at %s', async (code, host, text) => {
    const { runId } = await tried(host, code);
    expect(await textOf(runId)).toBe(text);
  });

  test('has one line in status for many runs, which goes when it answers again', async () => {
    await tried(DESTINATION);
    world.nowMs += MINUTE;
    const sinceMs = world.nowMs - 10_000;
    await tried(DESTINATION, 'TIMEOUT', { count: 2, sinceMs, code: 'TIMEOUT', codeSinceMs: sinceMs }, 'v2');
    expect(await warnings()).toEqual([
      `REGISTRY_NOT_ANSWERING: destination ${DESTINATION} not answering since 12:03 (timeout, 3 tries, next 12:04)`,
    ]);
    world.nowMs += 10 * MINUTE;
    expect(await warnings()).toEqual([]);
  });
});
