import { channel } from 'node:diagnostics_channel';
import { setImmediate as turn } from 'node:timers/promises';
import { InvocationContext } from '@azure/functions';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { PolicyError, REQUEST_CHANNEL, TransportError, type RequestEvent } from '../../../src/oci/index.js';
import { pushImage } from '../../support/images.js';
import { newJobWorld, openJobRun, pushSample } from '../../support/job-world.js';
import { REGISTRY, SOURCE, newWorld, openRun, type World } from '../../support/world.js';
import { register, type Registered } from '../../support/registered.js';

// Every line that the app writes about a run says which.

let world: World;
let app: Registered;
let lines: { level: string; text: string }[];
beforeEach(() => {
  world = newWorld();
  app = register(world);
  lines = [];
});

const newContext = (functionName: string): InvocationContext =>
  new InvocationContext({
    functionName,
    logHandler: (level, ...args) => void lines.push({ level, text: args.join(' ') }),
  });
async function call(kind: 'activities' | 'functions', name: string, input: unknown): Promise<unknown> {
  const handler = app[kind].get(name)?.handler;
  if (handler === undefined) throw new Error(`there is no ${name}`);
  return handler(input, newContext(name));
}

/** A step that reads its rows, and asks no registry. */
const waitOf = ({ promotionId, runId }: { promotionId: string; runId: string }) => ({
  promotionId,
  runId,
  generation: 1,
  event: 'evidence-1',
  reasons: [],
  pauseMs: 0,
});

const requests = channel(REQUEST_CHANNEL);
function request(changes: Partial<RequestEvent>): void {
  const about = { id: 1, method: 'GET', url: 'https://r.io/v2/', kind: 'api', attempt: 2, durationMs: 4.4 } as const;
  requests.publish({ phase: 'end', ...about, ...changes } satisfies RequestEvent);
}

describe('a step', () => {
  test('logs how it ended', async () => {
    const run = await openRun(world);
    await call('activities', 'markWaiting', waitOf(run));
    expect(lines).toEqual([
      {
        level: 'information',
        text: expect.stringMatching(new RegExp(`^runId=${run.runId} step="markWaiting" done in \\d+ ms: $`)),
      },
    ]);
  });

  test('logs its label and its result', async () => {
    world = newJobWorld();
    app = register(world);
    await pushSample(world, 'jobs/app', 'v1');
    await openJobRun(world, { operation: 'sign', reference: `${REGISTRY}/jobs/app:v1` }, 'r1');
    await call('activities', 'runOperation', { runId: 'r1', label: 'sign' });
    expect(lines.at(-1)?.text).toMatch(
      new RegExp(`^runId=r1 step="runOperation sign" done in \\d+ ms: signatures: 1 attached, 0 were there$`),
    );
  });

  test.each([
    ['for good', new PolicyError('DESTINATION_TAKEN', 'no'), /failed: DESTINATION_TAKEN: no$/],
    ['for now', new TransportError('CONNECT_FAILED', 'down'), /CONNECT_FAILED: down; tried 1 times/],
    ['by a bug', new TypeError('x is not a function'), /TypeError: x is not a function\n/],
  ])('fails %s', async (_how, error, text) => {
    const run = await openRun(world);
    world.store.getPromotion = () => Promise.reject(error);
    await call('activities', 'markWaiting', waitOf(run)).catch(() => undefined);
    expect(lines).toEqual([{ level: 'warning', text: expect.stringMatching(text) }]);
    expect(lines[0]?.text).toMatch(new RegExp(`^runId=${run.runId} step="markWaiting" `));
  });

  test('logs its own failed requests, but not those of other steps', async () => {
    const runs = [await openRun(world), await openRun(world, world.ruleList[0], { ...SOURCE, tag: 'v2' })];
    const { store } = newWorld();
    world.store.getPromotion = async (id) => {
      await turn();
      if (id === runs[0]?.promotionId) {
        request({ status: 429 });
        request({ status: 404 });
        request({ phase: 'start' });
        request({ error: 'CONNECTION_CLOSED' });
        // Broken off by the step itself.
        request({ error: 'ABORTED' });
        request({ error: 'ABORTED', status: 200 });
      } else request({ status: 503, attempt: 1 });
      return store.getPromotion(id);
    };
    await Promise.all(runs.map((run) => call('activities', 'markWaiting', waitOf(run))));
    request({ status: 500 });
    const warned = lines.flatMap(({ level, text }) => (level === 'warning' ? [text] : []));
    expect(warned.sort()).toEqual(
      [
        `runId=${runs[0]?.runId} step="markWaiting" request GET https://r.io/v2/: 429, try 2, 4 ms`,
        `runId=${runs[0]?.runId} step="markWaiting" request GET https://r.io/v2/: CONNECTION_CLOSED, try 2, 4 ms`,
        `runId=${runs[1]?.runId} step="markWaiting" request GET https://r.io/v2/: 503, try 1, 4 ms`,
      ].sort(),
    );
  });

  test('logs twenty of a hundred failed requests, and the number of the others', async () => {
    const run = await openRun(world);
    const { store } = newWorld();
    world.store.getPromotion = async (id) => {
      for (let count = 0; count < 100; count += 1) request({ status: 500 });
      return store.getPromotion(id);
    };
    await call('activities', 'markWaiting', waitOf(run));
    const warned = lines.filter(({ level }) => level === 'warning');
    expect(warned).toHaveLength(21);
    expect(warned[20]?.text).toContain('80 more requests failed');
  });
});

describe('the log', () => {
  test('of a trigger names the runs that answer it', async () => {
    const { digest } = await pushImage(world.registries.repository(REGISTRY, SOURCE.repository), { tag: 'v1' });
    const event = {
      id: 'e1',
      eventType: 'Microsoft.ContainerRegistry.ImagePushed',
      eventTime: '2026-01-01T00:00:00Z',
      data: { target: { repository: SOURCE.repository, tag: 'v1', digest }, request: { host: REGISTRY } },
    };
    await call('functions', 'onRegistryEvent', event);
    const [run] = (await world.store.listRuns()).items;
    expect(run?.trigger).toMatchObject({ kind: 'push', id: 'e1' });
    expect(lines.map(({ text }) => text)).toEqual([
      `${REGISTRY}/samples/app:v1@${digest}: 1 promotions runId=${run?.id}`,
    ]);
  });

  test('of a job names its run', async () => {
    await call('functions', 'onJobMessage', { operation: 'tags', id: 'mine', reference: `${REGISTRY}/samples/app` });
    const [run] = (await world.store.listRuns()).items;
    expect(lines.map(({ text }) => text)).toEqual([`job mine: runId=${run?.id}`]);
  });
});

describe('a step that is called again', () => {
  test('has the time of its first call, if it is a long step', async () => {
    const owner = await openRun(world);
    const since = world.nowMs;
    world.nowMs += 5 * 60_000;
    await call('activities', 'observe', { ...owner, startedMs: since });
    expect(await world.store.listProgress(owner.runId)).toMatchObject([
      { step: 'observe', startedAt: new Date(since).toISOString(), updatedAt: new Date(world.nowMs).toISOString() },
    ]);
  });

  test('has the time of its first backoff, and logs only once that it waits', async () => {
    const { runId, promotionId } = await openRun(world);
    const since = world.nowMs;
    const poll = { runId, promotions: [{ promotionId, generation: 1 }] };
    await call('activities', 'awaitPromotions', poll);
    world.nowMs += 5_000;
    const attempt = { count: 1, sinceMs: since, codeSinceMs: since, untilMs: since + 60_000 };
    await call('activities', 'awaitPromotions', { ...poll, attempt });
    const [step] = await world.store.listProgress(runId);
    expect(step).toMatchObject({
      startedAt: new Date(since).toISOString(),
      updatedAt: new Date(since + 5_000).toISOString(),
    });
    expect(lines.map(({ text }) => text)).toEqual([
      expect.stringMatching(/step="awaitPromotions" waiting in \d+ ms: promotion \w+ is working$/),
    ]);
  });
});
