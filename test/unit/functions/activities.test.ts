import * as contracts from '../../support/contracts.js';
import { InvocationContext } from '@azure/functions';
import { beforeEach, describe, expect, test } from '@jest/globals';
import type { ActivityReply } from '../../../src/functions/durable-driver.js';
import {
  ConfigurationError,
  InputError,
  PolicyError,
  TransportError,
  VerificationError,
} from '../../../src/oci/index.js';
import { pushImage } from '../../support/images.js';
import { REGISTRY, SOURCE, newWorld, openRun, type World } from '../../support/world.js';
import { register, type Registered } from '../../support/registered.js';

let world: World;
let app: Registered;
let warnings: string[];

beforeEach(() => {
  world = newWorld();
  app = register(world);
  warnings = [];
});

const pushed = () => pushImage(world.registries.repository(REGISTRY, SOURCE.repository), { tag: SOURCE.tag });
async function call(name: string, input: unknown): Promise<ActivityReply> {
  const context = new InvocationContext({
    functionName: name,
    logHandler: (_level, ...args) => void warnings.push(args.join(' ')),
  });
  const handler = app.activities.get(name)?.handler;
  if (handler === undefined) throw new Error(`no activity ${name}`);
  return (await handler(input, context)) as ActivityReply;
}
const progress = async (runId: string) => world.store.listProgress(runId);

test('every step of the orchestrations is registered under its name, with the durable client', () => {
  const names = Object.values(contracts).flatMap((value) => ('name' in value && 'input' in value ? [value.name] : []));
  expect([...app.activities.keys()].sort()).toEqual([...names].sort());
  for (const options of app.activities.values()) expect(options.extraInputs).toHaveLength(1);
  expect([...app.orchestrations.keys()].sort()).toEqual(['promote', 'runJob']);
});

describe('an activity returns', () => {
  test('its result', async () => {
    await pushed();
    const run = await openRun(world);
    expect(await call('observe', run)).toMatchObject({ done: { state: 'found', generation: 1 } });
    expect(await progress(run.runId)).toMatchObject([{ step: 'observe', state: 'done' }]);
  });

  test('a pause if another process holds the lease of a subject', async () => {
    const image = await pushed();
    const run = await openRun(world);
    await world.lease.acquire(`subject ${REGISTRY}/${SOURCE.repository}@${image.digest}`);
    const reply = await call('attach', { ...run, root: image.digest });
    expect(reply).toEqual({ retryAfterMs: 2_000, event: expect.stringMatching(/^notify-[0-9a-f-]{36}$/) });
    const rows = await progress(run.runId);
    expect(rows.filter(({ step }) => step === 'attach')).toMatchObject([
      { state: 'waiting', event: 'event' in reply && reply.event },
    ]);
  });

  test('a pause of 0 if it has reached the limit of one call', async () => {
    const image = await pushed();
    const run = await openRun(world);
    world.callBounds = { ...world.callBounds, requests: 1 };
    const input = { ...run, root: image.digest };
    expect(await call('copy', input)).toEqual({ retryAfterMs: 0, event: expect.any(String) });
  });

  test.each([
    ['a policy', new PolicyError('DESTINATION_TAKEN', 'no', { remedy: 'another' }), true],
    ['a signature', new VerificationError('SIGNATURE_INVALID', 'no'), true],
    ['a setting', new ConfigurationError('SIGNING_KEY_MISSING', 'no'), false],
  ])('what trying again will not mend: %s', async (_name, error, refused) => {
    const run = await openRun(world);
    world.store.getRun = () => Promise.reject(error);
    expect(await call('observe', run)).toEqual({
      failed: {
        code: error.code,
        message: 'no',
        refused,
        remedy: error.remedy ?? expect.stringContaining('docs/reference/errors.md'),
      },
    });
    expect(await progress(run.runId)).toMatchObject([{ state: 'failed', text: `${error.code}: no` }]);
  });

  test('an error message that is short enough for the history', async () => {
    const run = await openRun(world);
    world.store.getRun = () => Promise.reject(new ConfigurationError('X_Y', 'z'.repeat(100_000)));
    const reply = await call('observe', run);
    expect('failed' in reply && reply.failed.message.length).toBeLessThanOrEqual(2_000);
  });

  test('a permanent error for an input of another version', async () => {
    for (const input of [undefined, null, 'text', {}, { promotionId: 7, runId: 'r1' }]) {
      expect(await call('observe', input)).toMatchObject({ failed: { code: 'STEP_INPUT_INVALID', refused: false } });
    }
  });
});

describe('an activity throws', () => {
  test('for a bug; the log has the stack and the history does not', async () => {
    const run = await openRun(world);
    world.store.getRun = () => Promise.reject(new TypeError('x is not a function'));
    await expect(call('observe', run)).rejects.toThrow(/^INTERNAL: x is not a function$/);
    expect(warnings[0]).toMatch(/TypeError: x is not a function\n\s+at /);
  });
});

describe('progress', () => {
  test('that cannot be written does not fail the step', async () => {
    await pushed();
    const run = await openRun(world);
    world.store.putProgress = () => Promise.reject(new TransportError('STORAGE_UNAVAILABLE', 'down'));
    expect(await call('observe', run)).toMatchObject({ done: { state: 'found' } });
  });

  test('of a step is in its row, and that of each part in a row of its own', async () => {
    const image = await pushed();
    const run = await openRun(world);
    await call('attach', { ...run, root: image.digest });
    expect(await progress(run.runId)).toMatchObject([
      { step: 'attach', state: 'done', text: 'SBOMs: 1 attached, 0 were there; signatures: 1 attached, 0 were there' },
      { step: 'attachSbom image', state: 'done', text: expect.stringContaining('1 npm') },
      { step: 'attachSignature image', state: 'done' },
    ]);
  });

  test('of a part that is interrupted with its step shows the error of the step', async () => {
    const image = await pushed();
    const run = await openRun(world);
    world.sbom = { generate: () => Promise.reject(new TransportError('CONNECT_FAILED', 'down')) };
    expect(await call('attach', { ...run, root: image.digest })).toMatchObject({ trouble: { code: 'CONNECT_FAILED' } });
    const [whole, part] = await progress(run.runId);
    expect(whole).toMatchObject({ step: 'attach', state: 'waiting', waitsFor: { code: 'CONNECT_FAILED' } });
    expect(part).toMatchObject({ step: 'attachSbom image', state: 'waiting', text: 'CONNECT_FAILED: down' });
    // Its step is what is woken.
    expect(part).not.toHaveProperty('event');
  });

  test('of a part that fails permanently shows the error', async () => {
    const image = await pushed();
    const run = await openRun(world);
    world.sbom = { generate: () => Promise.reject(new InputError('LAYER_INVALID', 'no tar')) };
    expect(await call('attach', { ...run, root: image.digest })).toMatchObject({ failed: { code: 'LAYER_INVALID' } });
    expect(await progress(run.runId)).toMatchObject([
      { step: 'attach', state: 'failed' },
      { step: 'attachSbom image', state: 'failed', text: 'LAYER_INVALID: no tar' },
    ]);
  });

  test('of a step with several calls is one row', async () => {
    const image = await pushed();
    const run = await openRun(world);
    world.callBounds = { ...world.callBounds, requests: 2 };
    const input = { ...run, root: image.digest };
    let calls = 1;
    while ('retryAfterMs' in (await call('copy', input))) calls += 1;
    expect(calls).toBeGreaterThan(1);
    expect(await progress(run.runId)).toMatchObject([{ step: 'copy', state: 'done', doneNodes: 3, totalNodes: 3 }]);
  });

  test.each([
    ['REFERRER_UNKNOWN', 'REFERRER_UNKNOWN'],
    ['SOURCE_GONE', 'SOURCE_GONE'],
    ['TOOMANYREQUESTS', undefined],
  ])('what a step that goes on after %s says that it still waits for', async (code, waitsFor) => {
    const image = await pushed();
    const run = await openRun(world);
    world.callBounds = { ...world.callBounds, requests: 1 };
    const attempt = { count: 3, sinceMs: 1, code, codeSinceMs: 2, untilMs: 3 };
    expect(await call('copy', { ...run, root: image.digest, attempt })).toEqual({
      retryAfterMs: 0,
      event: expect.any(String),
      ...(waitsFor !== undefined && { trouble: { code: waitsFor, message: '' } }),
    });
  });
});

describe('long steps', () => {
  const LONG = ['observe', 'checkEvidence', 'attach', 'copy', 'verifyArrival', 'runOperation'];
  let release: () => void;
  let blocked: Promise<void>;

  /** Starts copies that do not end before they are released: two work, and a third waits for a permit. */
  async function busyWith(count: number): Promise<Promise<ActivityReply>[]> {
    blocked = new Promise((resolve) => (release = resolve));
    const { digest } = await pushed();
    const getDocument = world.documents.get.bind(world.documents);
    let begun = 0;
    world.documents.get = async (...args) => {
      begun += 1;
      await blocked;
      return getDocument(...args);
    };
    const copies: Promise<ActivityReply>[] = [];
    for (let index = 0; index < count; index += 1) {
      const run = await openRun(world, world.ruleList[0], { ...SOURCE, tag: `t${index}` });
      world.registries.repository(REGISTRY, SOURCE.repository).tags.set(`t${index}`, digest);
      copies.push(call('copy', { ...run, root: digest }));
    }
    while (begun < Math.min(count, 2)) await new Promise((resolve) => setTimeout(resolve, 1));
    return copies;
  }

  test('are those whose work grows with a graph', () => {
    const long = Object.values(contracts).flatMap((value) => ('isLong' in value && value.isLong ? [value.name] : []));
    expect(long.sort()).toEqual(LONG.toSorted());
  });

  test('run two at once per process; others back off with growing pauses, and a short step does not wait', async () => {
    // The third waits in its activity for the next permit. Nothing else may wait there, so others back off at once.
    const copies = await busyWith(3);
    const run = await openRun(world);
    expect(await call('observe', run)).toEqual({ retryAfterMs: 2_000, event: expect.any(String) });
    expect(await progress(run.runId)).toMatchObject([
      {
        step: 'observe',
        state: 'waiting',
        event: expect.any(String),
        text: expect.stringContaining('waiting for a turn'),
      },
    ]);
    const sinceMs = world.nowMs - 600_000;
    const attempt = { count: 12, sinceMs, codeSinceMs: sinceMs, untilMs: world.nowMs + 600_000 };
    const later = (await call('observe', { ...run, attempt })) as { retryAfterMs: number };
    expect(later.retryAfterMs).toBeGreaterThan(30_000);
    expect(
      await call('markWaiting', { ...run, generation: 1, event: 'evidence-1', reasons: [], pauseMs: 0 }),
    ).toMatchObject({
      done: expect.any(String),
    });
    release();
    for (const copy of copies) expect(await copy).toHaveProperty('done');
    expect(await call('observe', run)).toMatchObject({ done: { state: 'found' } });
  });

  test('without a permit keep waiting for their error, and their waiting time does not count', async () => {
    const copies = await busyWith(3);
    const run = await openRun(world);
    const now = world.nowMs;
    const attempt = { count: 3, sinceMs: now, code: 'SOURCE_GONE', codeSinceMs: now, untilMs: now + 600_000 };
    expect(await call('observe', { ...run, attempt })).toMatchObject({
      retryAfterMs: expect.any(Number),
      trouble: { code: 'SOURCE_GONE' },
    });
    release();
    await Promise.all(copies);
  });

  test('end their call for a third that waits, and continue later', async () => {
    world.callBounds = { ...world.callBounds, turnMs: 0 };
    const copies = await busyWith(2);
    const run = await openRun(world);
    const third = call('observe', run);
    await new Promise((resolve) => setTimeout(resolve, 50));
    release();
    expect(await third).toMatchObject({ done: { state: 'found' } });
    expect(await Promise.all(copies)).toContainEqual({ retryAfterMs: 2_000, event: expect.any(String) });
  });

  test('return their permit if they fail', async () => {
    world.documents.get = () => Promise.reject(new PolicyError('X_Y', 'no'));
    const { digest } = await pushed();
    const run = await openRun(world);
    for (let times = 0; times < 5; times += 1) {
      expect(await call('copy', { ...run, root: digest })).toMatchObject({ failed: { code: 'X_Y' } });
    }
  });
});
