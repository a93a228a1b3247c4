import { InvocationContext } from '@azure/functions';
import { beforeEach, describe, expect, test } from '@jest/globals';
import type { ActivityReply } from '../../../src/functions/orchestrations/step.js';
import { ConfigurationError, PolicyError, TransportError, VerificationError } from '../../../src/oci/index.js';
import * as contracts from '../../support/contracts.js';
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

async function call(name: string, input: unknown, instanceId?: string): Promise<ActivityReply> {
  const context = new InvocationContext({
    functionName: name,
    ...(instanceId !== undefined && { triggerMetadata: { instanceId } }),
    logHandler: (_level, ...args) => void warnings.push(args.join(' ')),
  });
  const handler = app.activities.get(name)?.handler;
  if (handler === undefined) throw new Error(`no activity ${name}`);
  return (await handler(input, context)) as ActivityReply;
}
const progress = async (runId: string) => world.store.listProgress(runId);

test('every step that orchestrations know of is registered, under its name, with the durable client', () => {
  const names = Object.values(contracts).flatMap((value) => ('name' in value && 'input' in value ? [value.name] : []));
  expect([...app.activities.keys()].sort()).toEqual([...names].sort());
  for (const options of app.activities.values()) expect(options.extraInputs).toHaveLength(1);
  expect([...app.orchestrations.keys()].sort()).toEqual([
    'attachImages',
    'copyParts',
    'promote',
    'promoteScheduled',
    'runJob',
    'walkOn',
  ]);
});

describe('an activity answers', () => {
  test('what is done', async () => {
    const run = await openRun(world);
    expect(await call('beginRun', run)).toMatchObject({ done: { owned: true, wanted: 1 } });
    expect(await progress(run.runId)).toMatchObject([{ step: 'beginRun', state: 'done' }]);
  });

  test('that it wants to be called again', async () => {
    const image = await pushImage(world.registries.repository(REGISTRY, SOURCE.repository), { tag: SOURCE.tag });
    const run = await openRun(world);
    await world.lease.acquire(`subject ${REGISTRY}/${SOURCE.repository}@${image.digest}`);
    const input = { ...run, subject: image, label: 'linux/amd64' };
    const reply = await call('attachSignature', input, `${run.runId}-copy-0-0`);
    expect(reply).toEqual({ later: 2_000, wake: expect.stringMatching(/^wake-[0-9a-f-]{36}$/) });
    expect(await progress(run.runId)).toMatchObject([
      {
        step: 'attachSignature linux/amd64',
        state: 'waiting',
        wake: 'wake' in reply && reply.wake,
        waitsIn: `${run.runId}-copy-0-0`,
      },
    ]);
  });

  test.each([
    ['a policy', new PolicyError('DESTINATION_TAKEN', 'no', { remedy: 'another' }), true],
    ['a signature', new VerificationError('SIGNATURE_INVALID', 'no'), true],
    ['a setting', new ConfigurationError('SIGNING_KEY_MISSING', 'no'), false],
  ])('what trying again will not mend: %s', async (_name, error, refused) => {
    const run = await openRun(world);
    world.store.getRun = () => Promise.reject(error);
    expect(await call('beginRun', run)).toEqual({
      failed: {
        code: error.code,
        message: 'no',
        refused,
        remedy: error.remedy ?? expect.stringContaining('docs/errors.md'),
      },
    });
    expect(await progress(run.runId)).toMatchObject([{ state: 'failed', text: `${error.code}: no` }]);
  });

  test('a message that fits into history, however long the error’s is', async () => {
    const run = await openRun(world);
    world.store.getRun = () => Promise.reject(new ConfigurationError('X_Y', 'z'.repeat(100_000)));
    const reply = await call('beginRun', run);
    expect('failed' in reply && reply.failed.message.length).toBeLessThanOrEqual(2_000);
  });

  test('that its input is not for this version: never tried again', async () => {
    for (const input of [undefined, null, 'text', {}, { promotionId: 7, runId: 'r1' }]) {
      expect(await call('beginRun', input)).toMatchObject({ failed: { code: 'STEP_INPUT_INVALID', refused: false } });
    }
  });
});

describe('an activity throws', () => {
  test('a bug, with its stack in the log and not in history', async () => {
    const run = await openRun(world);
    world.store.getRun = () => Promise.reject(new TypeError('x is not a function'));
    await expect(call('beginRun', run)).rejects.toThrow(/^INTERNAL: x is not a function$/);
    expect(warnings[0]).toMatch(/TypeError: x is not a function\n\s+at /);
  });
});

describe('progress', () => {
  test('rows that cannot be written fail no step', async () => {
    const run = await openRun(world);
    world.store.putProgress = () => Promise.reject(new TransportError('STORAGE_UNAVAILABLE', 'down'));
    expect(await call('beginRun', run)).toMatchObject({ done: { owned: true } });
  });

  test('what a step says of itself stands in its row', async () => {
    const image = await pushImage(world.registries.repository(REGISTRY, SOURCE.repository), { tag: SOURCE.tag });
    const run = await openRun(world);
    const labelled = { ...image, label: 'linux/amd64', sbom: true };
    await call('attachSbom', { ...run, image: labelled });
    expect(await progress(run.runId)).toMatchObject([
      { step: 'attachSbom linux/amd64', state: 'done', text: expect.stringContaining('1 npm') },
    ]);
  });

  test('of a step that takes several calls is one row: since its first, and of how many manifests it knows', async () => {
    await pushImage(world.registries.repository(REGISTRY, SOURCE.repository), { tag: SOURCE.tag });
    const run = await openRun(world);
    world.stretch = { ...world.stretch, requests: 2 };
    const input = {
      runId: run.runId,
      source: { registry: REGISTRY, repository: SOURCE.repository },
      root: SOURCE.tag,
      recursive: true,
      excludeArtifactTypes: [],
    };
    const first = new Date(world.nowMs).toISOString();
    const reply = (await call('planCopy', input)) as { done: contracts.More };
    expect(reply.done).toEqual({ state: 'more', cursor: { stretch: 1, since: world.nowMs } });
    world.nowMs += 60_000;
    expect(await call('planCopy', { ...input, cursor: reply.done.cursor })).toMatchObject({
      done: { state: 'planned' },
    });
    expect(await progress(run.runId)).toMatchObject([
      { step: 'planCopy', state: 'done', startedAt: first, doneNodes: 1, totalNodes: 1 },
    ]);
  });

  test.each([
    ['SOURCE_GONE', undefined, 'SOURCE_GONE'],
    ['REFERRER_UNKNOWN', 'SOURCE_GONE', 'REFERRER_UNKNOWN'],
    ['TOOMANYREQUESTS', undefined, undefined],
    ['TOOMANYREQUESTS', 'SOURCE_GONE', 'SOURCE_GONE'],
  ])('what a call after %s tells the next stretch, where that before told of %s', async (code, before, told) => {
    await pushImage(world.registries.repository(REGISTRY, SOURCE.repository), { tag: SOURCE.tag });
    const run = await openRun(world);
    world.stretch = { ...world.stretch, requests: 1 };
    const of = (which: string) => ({ tries: 3, since: 1, code: which, codeSince: 2, until: 3 });
    const input = {
      runId: run.runId,
      source: { registry: REGISTRY, repository: SOURCE.repository },
      root: SOURCE.tag,
      recursive: true,
      excludeArtifactTypes: [],
      cursor: { stretch: 1, since: 1, ...(before !== undefined && { again: of(before) }) },
      again: of(code),
    };
    const cursor = { stretch: 2, since: 1, ...(told !== undefined && { again: of(told) }) };
    expect(await call('planCopy', input)).toEqual({ done: { state: 'more', cursor } });
  });

  test('of the schedule is nobody’s', async () => {
    const written: unknown[] = [];
    world.store.putProgress = async (row) => void written.push(row);
    expect(await call('walkSchedule', { cursor: null, started: 0 })).toMatchObject({ done: { cursor: null } });
    expect(written).toEqual([]);
  });
});
