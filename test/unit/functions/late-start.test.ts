import { InvocationContext } from '@azure/functions';
import { beforeEach, describe, expect, test } from '@jest/globals';
import type { OrchestrationHandler } from 'durable-functions';
import { JOB_OPERATIONS, type JobOperation } from '../../../src/operations/job-schema.js';
import { parseJob } from '../../../src/operations/parse-job.js';
import { TransportError } from '../../../src/oci/index.js';
import { endRunRow } from '../../../src/rows/run-end.js';
import type { Engine } from '../../../src/ports/engine.js';
import type { RunSummary } from '../../../src/rows/run-row.js';
import { reconcileJobs } from '../../support/reconciled.js';
import { blobOf, newJobWorld, pushSample } from '../../support/job-world.js';
import { pushImage } from '../../support/images.js';
import {
  DESTINATION,
  REGISTRY,
  SOURCE,
  newWorld,
  openRun,
  rowOf,
  runOf,
  tagAt,
  type World,
} from '../../support/world.js';
import { register, type Registered } from '../../support/registered.js';
import { replay, type Played } from '../../support/replay.js';
import { startJob } from '../../../src/operations/start-job.js';

// Durable Functions starts an id over that has ended. Who asks for that late must not have a finished run done again.

const APP = `${REGISTRY}/jobs/app`;

let world: World;
let app: Registered;

function use(made: World): void {
  world = made;
  app = register(world);
}
beforeEach(() => use(newJobWorld()));

/** Plays the newest start of a run as the engine does, with the real steps. */
async function play(runId: string): Promise<Played> {
  const start = world.engine.starts.findLast(({ id }) => id === runId);
  if (start === undefined) throw new Error(`${runId} was not started`);
  const context = new InvocationContext({ functionName: 'activity', logHandler: () => {} });
  world.engine.setState(runId, 'running');
  const played = await replay(app.orchestrations.get(start.orchestration) as OrchestrationHandler, {
    input: start.input,
    activities: Object.fromEntries(
      [...app.activities].map(([name, { handler }]) => [name, (input: unknown) => handler(input, context)]),
    ),
  });
  world.engine.setState(runId, 'ended');
  return played;
}

const message = (job: Record<string, unknown>) => parseJob({ id: 'job-1', ...job }, { messageId: 'm1' });
const deliver = (job: Record<string, unknown>, ports: World = world) =>
  startJob(ports, message(job), { kind: 'queue', id: 'm1' });

type Content = { tags: string[]; manifests: string[]; blobs: string[] };
const NAMES = ['jobs/app', 'mirror/app'];
const repositories = () => NAMES.map((name) => world.registries.repository(REGISTRY, name));

/** What stands in the registry and in the files, to compare. */
function contents(): { repositories: Content[]; files: string[] } {
  return {
    repositories: repositories().map(({ tags, manifests, blobs }) => ({
      tags: [...tags].map(([tag, digest]) => `${tag} ${digest}`).toSorted(),
      manifests: [...manifests.keys()].toSorted(),
      blobs: [...blobs.keys()].toSorted(),
    })),
    files: [...world.files.kept.keys()].toSorted(),
  };
}

/** Notes what stands there; @returns what puts it back, as somebody does who undoes what a job did. */
function keep(): () => void {
  const kept = repositories().map((repository) => ({
    repository,
    maps: (['tags', 'manifests', 'blobs'] as const).map(
      (name) => [name, new Map<string, unknown>(repository[name])] as const,
    ),
  }));
  const files = new Map(world.files.kept);
  const refill = (map: Map<string, unknown>, entries: ReadonlyMap<string, unknown>): void => {
    map.clear();
    for (const [name, value] of entries) map.set(name, value);
  };
  return () => {
    for (const { repository, maps } of kept) for (const [name, entries] of maps) refill(repository[name], entries);
    refill(world.files.kept, files);
  };
}

const FILE = { path: 'hello.txt', text: 'new' };
const INDEX = { mediaType: 'application/vnd.oci.image.index.v1+json', schemaVersion: 2, manifests: [] };
/** Each operation that writes. */
const WRITES: [operation: JobOperation, job: Record<string, unknown>][] = [
  ['copy', { source: `${APP}:v1`, destination: `${REGISTRY}/mirror/app:v1` }],
  ['tag', { reference: `${APP}:v1`, tags: ['stable'] }],
  ['push', { reference: `${APP}:docs`, files: [FILE] }],
  ['attach', { reference: `${APP}:v1`, artifactType: 'review/example', files: [FILE] }],
  ['manifest.push', { reference: `${APP}:raw`, file: { path: 'm', text: JSON.stringify(INDEX) } }],
  ['manifest.index.create', { reference: `${APP}:multi`, manifests: ['v1'] }],
  ['manifest.index.update', { reference: `${APP}:index`, add: ['v1'] }],
  ['blob.push', { reference: APP, file: FILE }],
  ['manifest.delete', { reference: `${APP}:v1` }],
  ['blob.delete', { reference: `${APP}@${blobOf('hello').digest}` }],
  ['sbom', { reference: `${APP}:image` }],
  ['sign', { reference: `${APP}:v1` }],
  ['pull', { reference: `${APP}:v1`, output: 'out' }],
  ['blob.fetch', { reference: `${APP}@${blobOf('hello').digest}`, output: 'out' }],
];
const READS: JobOperation[] = [
  'discover',
  'resolve',
  'tags',
  'repos',
  'manifest.fetch',
  'manifest.fetchConfig',
  'verify',
];

test('the table has every operation of a job, as one that writes, only reads, or promotes', () => {
  const written = WRITES.map(([operation]) => operation);
  expect([...written, ...READS, 'promote'].toSorted()).toEqual(JOB_OPERATIONS.toSorted());
});

describe.each(WRITES)('a job %s that has ended and was undone', (operation, fields) => {
  const job = { operation, ...fields };
  let undo: () => void;

  beforeEach(async () => {
    await pushSample(world, 'jobs/app', 'v1');
    await pushImage(world.registries.repository(REGISTRY, 'jobs/app'), { tag: 'image' });
    const { bytes, mediaType } = {
      bytes: Buffer.from(JSON.stringify({ ...INDEX, annotations: { a: 'b' } })),
      ...INDEX,
    };
    await world.registries.repository(REGISTRY, 'jobs/app').pushManifest(bytes, mediaType, { tag: 'index' });
    undo = keep();
  });

  /** Does the job; @returns what was called, and what stood there before. */
  async function doneAndUndone(): Promise<{ runId: string; calls: Played['calls']; before: unknown }> {
    const before = contents();
    const runId = await deliver(job);
    const { output, calls } = await play(runId);
    expect(output).toMatchObject({ outcome: 'completed' });
    expect(contents()).not.toEqual(before);
    undo();
    expect(contents()).toEqual(before);
    return { runId, calls, before };
  }

  test('is not repeated by its message', async () => {
    const { runId, before } = await doneAndUndone();
    const starts = world.engine.starts.length;
    expect(await deliver(job)).toBe(runId);
    expect(world.engine.starts).toHaveLength(starts);
    expect(contents()).toEqual(before);
  });

  test('is not repeated by a host that was frozen between its row and the engine', async () => {
    let thaw = (): void => {};
    const frozen = new Promise<void>((resolve) => (thaw = resolve));
    const start: Engine['start'] = async (...args) => {
      await frozen;
      return world.engine.start(...args);
    };
    const late = deliver(job, { ...world, engine: { ...world.engine, start } });
    const { runId, before } = await doneAndUndone();
    thaw();
    expect(await late).toBe(runId);
    // The engine has started the id over, as the real one does.
    expect(world.engine.starts.filter(({ id }) => id === runId)).toHaveLength(2);
    const { result } = await runOf(world, runId);
    expect(await play(runId)).toMatchObject({ output: null, calls: [{ name: 'beginJob' }] });
    expect(contents()).toEqual(before);
    expect((await runOf(world, runId)).result).toEqual(result);
  });

  test('is not repeated by the late message of a step', async () => {
    const { calls, before } = await doneAndUndone();
    const context = new InvocationContext({ functionName: 'activity', logHandler: () => {} });
    const steps = calls.filter(({ name }) => !['beginJob', 'closeJob'].includes(name));
    expect(steps).not.toEqual([]);
    for (const { name, input } of steps) {
      const answer = await app.activities.get(name)?.handler(input, context);
      expect({ name, answer }).toMatchObject({ name, answer: { failed: { code: 'RUN_ENDED' } } });
    }
    expect(contents()).toEqual(before);
  });

  /** Calls the steps that write once more. */
  async function stepsComeLate(calls: Played['calls']): Promise<unknown[]> {
    const context = new InvocationContext({ functionName: 'activity', logHandler: () => {} });
    const steps = calls.filter(({ name }) => !['beginJob', 'closeJob'].includes(name));
    const answers: unknown[] = [];
    for (const { name, input } of steps) answers.push(await app.activities.get(name)?.handler(input, context));
    return answers;
  }

  test('is not repeated by the message of a step after its run was removed', async () => {
    const { runId, calls, before } = await doneAndUndone();
    await remove(runId);
    for (const answer of await stepsComeLate(calls)) expect(answer).toMatchObject({ failed: { code: 'RUN_ENDED' } });
    expect(contents()).toEqual(before);
  });

  test('is not repeated by the late message of a step while the row cannot be read', async () => {
    const { calls, before } = await doneAndUndone();
    const getRun = world.store.getRun.bind(world.store);
    let failures = 1;
    world.store.getRun = async (id) => {
      if (failures-- > 0) throw new TransportError('STORAGE_UNAVAILABLE', 'storage gives no answer');
      return getRun(id);
    };
    await stepsComeLate(calls.slice(0, 2));
    expect(contents()).toEqual(before);
  });
});

/** Removes a run, as the schedule does it when it is time. */
async function remove(runId: string): Promise<RunSummary> {
  const { items } = await world.store.listRuns();
  const [summary] = items.filter(({ id }) => id === runId);
  if (summary === undefined) throw new Error('no run');
  await world.store.removeRun(summary);
  return summary;
}

describe('a job whose run was removed after RUN_RETENTION_DAYS', () => {
  const job = { operation: 'tag', reference: `${APP}:v1`, tags: ['stable'] };
  const stable = (): unknown => world.registries.repository(REGISTRY, 'jobs/app').tags.get('stable');

  beforeEach(async () => {
    await pushSample(world, 'jobs/app', 'v1');
  });

  test('is not repeated by a later start', async () => {
    const runId = await deliver(job);
    const summary = await endAndRemove(runId);
    await world.engine.start('runJob', summary.id, { runId });
    expect(await play(runId)).toMatchObject({ output: null, calls: [{ name: 'beginJob' }] });
    expect(stable()).toBeUndefined();
  });

  test('is refused if its message is older than that, and is new if it was sent again', async () => {
    await endAndRemove(await deliver(job));
    const body = JSON.stringify({ id: 'job-1', ...job });
    const insertedAt = new Date(world.nowMs).toISOString();
    world.nowMs += world.retentionDays * 24 * 3_600_000;
    await arrive(body, insertedAt);
    expect(stable()).toBeUndefined();
    expect(world.queues.sent.map(({ queue, text }) => ({ queue, ...(JSON.parse(text) as object) }))).toEqual([
      expect.objectContaining({ queue: 'jobs-poison', code: 'JOB_EXPIRED', original: JSON.parse(body) as unknown }),
    ]);
    // Put back by us before: it is as old as it says.
    await arrive(
      JSON.stringify({
        retry: { firstMessageId: 'm0', firstAt: insertedAt, attempt: 3 },
        message: JSON.parse(body) as unknown,
      }),
    );
    expect(world.queues.sent.filter(({ queue }) => queue === 'jobs-poison')).toHaveLength(2);
    expect(stable()).toBeUndefined();
    await arrive(body);
    const run = world.engine.starts.at(-1)?.id ?? '';
    expect((await play(run)).output).toMatchObject({ outcome: 'completed' });
    expect(stable()).toBeDefined();
  });

  /** As the schedule does it when it is time. */
  async function endAndRemove(runId: string): Promise<RunSummary> {
    await endRunRow(world, runId, { outcome: 'completed' });
    world.engine.setState(runId, 'missing');
    return remove(runId);
  }

  async function arrive(body: string, insertionTime = new Date(world.nowMs).toISOString()): Promise<void> {
    const trigger = app.functions.get('onJobMessage');
    const context = new InvocationContext({
      functionName: 'onJobMessage',
      logHandler: () => {},
      triggerMetadata: { id: 'm1', insertionTime },
    });
    await trigger?.handler(body, context);
  }
});

test('a job that the schedule ends while its first step reads its row does not begin', async () => {
  await pushSample(world, 'jobs/app', 'v1');
  const runId = await deliver({ operation: 'tag', reference: `${APP}:v1`, tags: ['stable'] });
  const replaceRun = world.store.replaceRun.bind(world.store);
  world.store.replaceRun = async (row, version) => {
    world.store.replaceRun = replaceRun;
    await endRunRow(world, runId, { outcome: 'failed', code: 'RUN_LOST' });
    return replaceRun(row, version);
  };
  expect(await play(runId)).toMatchObject({ output: null, calls: [{ name: 'beginJob' }] });
  expect(await runOf(world, runId)).toMatchObject({ state: 'ended', result: { code: 'RUN_LOST' } });
});

test('the late step of a promote job that has ended triggers nothing', async () => {
  await pushImage(world.registries.repository(REGISTRY, SOURCE.repository), { tag: SOURCE.tag });
  const runId = await deliver({ operation: 'promote', source: `${REGISTRY}/${SOURCE.repository}:${SOURCE.tag}` });
  const context = new InvocationContext({ functionName: 'activity', logHandler: () => {} });
  const step = (name: string, input: object) => app.activities.get(name)?.handler({ runId, ...input }, context);
  expect(await step('beginJob', {})).toMatchObject({ done: { operation: 'promote' } });
  const [raised] = ((await step('incrementPromotions', { source: SOURCE })) as { done: { promotionId: string }[] })
    .done;
  await endRunRow(world, runId, { outcome: 'failed', code: 'RUN_LOST' });
  const row = await rowOf(world, raised?.promotionId ?? '');
  expect(await step('incrementPromotions', { source: SOURCE })).toMatchObject({ failed: { code: 'RUN_ENDED' } });
  expect(await step('awaitPromotions', { promotions: [{ promotionId: row.id, generation: 1 }] })).toMatchObject({
    failed: { code: 'RUN_ENDED' },
  });
  expect(await step('beginJob', {})).toEqual({ done: { operation: 'none' } });
  expect(await rowOf(world, row.id)).toEqual(row);
});

test('a job that the schedule ends while it works stops at its next step, and keeps that outcome', async () => {
  await pushSample(world, 'jobs/app', 'v1');
  const destination = `${REGISTRY}/mirror/app:v1`;
  const runId = await deliver({ operation: 'copy', source: `${APP}:v1`, destination });
  const plan = app.activities.get('copy');
  const handler = plan?.handler ?? (() => undefined);
  app.activities.set('copy', {
    ...plan,
    handler: async (input, context) => {
      const answer = await handler(input, context);
      world.nowMs += 3 * 24 * 3_600_000;
      expect((await reconcileJobs(world)).orphaned).toEqual([runId]);
      return answer;
    },
  });
  const { calls, output } = await play(runId);
  expect(output).toMatchObject({ outcome: 'failed', code: 'RUN_ENDED' });
  expect(calls.map(({ name }) => name)).toEqual(['beginJob', 'copy', 'verifyArrival', 'closeJob']);
  expect(await runOf(world, runId)).toMatchObject({ state: 'ended', result: { outcome: 'failed', code: 'RUN_LOST' } });
  expect(tagAt(world, destination)).toBeUndefined();
});

test('a job that is started again does all its work in its second instance, and ends once', async () => {
  await pushSample(world, 'jobs/app', 'v1');
  const destination = `${REGISTRY}/mirror/app:v1`;
  const runId = await deliver({ operation: 'copy', source: `${APP}:v1`, destination });
  const context = new InvocationContext({ functionName: 'activity', logHandler: () => {} });
  await app.activities.get('beginJob')?.handler({ runId }, context);
  world.engine.setState(runId, 'ended');
  world.nowMs += 2 * 60_000;
  expect((await reconcileJobs(world)).started).toEqual([runId]);
  const again = world.engine.starts.at(-1)?.id ?? '';
  expect(again).not.toBe(runId);
  expect((await play(again)).output).toMatchObject({ outcome: 'completed' });
  expect(await runOf(world, runId)).toMatchObject({ state: 'ended', result: { outcome: 'completed' } });
  expect(tagAt(world, destination)).toBeDefined();
  const { items } = await world.store.listDueRuns();
  expect(items).toEqual([]);
  // The first one's message that comes late finds the row ended.
  expect(await app.activities.get('beginJob')?.handler({ runId }, context)).toEqual({ done: { operation: 'none' } });
});

describe('a promotion whose run has ended', () => {
  beforeEach(() => use(newWorld()));

  test('is not run again if its instance id is started again, by any late step', async () => {
    const source = world.registries.repository(REGISTRY, SOURCE.repository);
    await pushImage(source, { tag: SOURCE.tag });
    const { runId, promotionId } = await openRun(world);
    const { output, calls } = await play(runId);
    expect(output).toMatchObject({ outcome: 'promoted' });
    const row = await rowOf(world, promotionId);
    const staging = world.registries.repository(REGISTRY, 'staging/samples/app');
    for (const map of [staging.tags, staging.manifests, staging.blobs]) map.clear();
    await world.engine.start('promote', runId, { promotionId, runId });
    expect((await play(runId)).calls.map(({ name }) => name)).toEqual(['observe']);
    const context = new InvocationContext({ functionName: 'activity', logHandler: () => {} });
    for (const { name, input } of calls.filter((call) => !['observe', 'closeRun'].includes(call.name))) {
      const answer = await app.activities.get(name)?.handler(input, context);
      expect({ name, answer }).toMatchObject({ name, answer: { failed: { code: 'RUN_ENDED' } } });
    }
    expect(staging.manifests.size + staging.blobs.size).toBe(0);
    expect(tagAt(world, DESTINATION)).toBeUndefined();
    expect(await rowOf(world, promotionId)).toEqual(row);
  });
});
