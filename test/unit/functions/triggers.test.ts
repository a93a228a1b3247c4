import { InvocationContext } from '@azure/functions';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { TransportError } from '../../../src/oci/index.js';
import { rule } from '../../support/rules.fixture.js';
import { pushArtifact, pushImage } from '../../support/images.js';
import { incrementGeneration } from '../../../src/rows/generation.js';
import { REGISTRY, SOURCE, newWorld, openRun, rowOf, runOf, type World } from '../../support/world.js';
import { register, type Registered } from '../../support/registered.js';

let world: World;
let app: Registered;

beforeEach(() => {
  world = newWorld();
  app = register(world);
});

async function deliver(name: string, input: unknown, triggerMetadata: Record<string, unknown> = {}): Promise<void> {
  const context = new InvocationContext({ functionName: name, logHandler: () => {}, triggerMetadata });
  await app.functions.get(name)?.handler(input, context);
}
const message = (id = 'm1') => ({ id, insertionTime: world.now().toISOString() });
const starts = (): string[] => world.engine.starts.map(({ orchestration }) => orchestration);
const poison = (): unknown[] =>
  world.queues.sent.map(({ queue, text }) => [queue, (JSON.parse(text) as { code: string }).code]);

test('the four triggers are registered with the durable client', () => {
  const names = ['onRegistryEvent', 'onRegistryEventMessage', 'onJobMessage', 'onScheduleMessage'];
  const options = names.map((name) => app.functions.get(name));
  for (const option of options) expect(option?.extraInputs).toHaveLength(1);
  expect(options).toMatchObject([
    {},
    { queueName: 'registry-events', connection: 'AzureWebJobsStorage' },
    { queueName: 'jobs', connection: 'AzureWebJobsStorage' },
    { queueName: 'schedule', connection: 'AzureWebJobsStorage' },
  ]);
  // It asks no engine.
  expect(app.functions.get('onSchedule')).toMatchObject({ schedule: '0 * * * * *', runOnStartup: true });
});

test('all HTTP functions except health require a key', () => {
  const open = [...app.functions].filter(([, { authLevel }]) => authLevel === 'anonymous').map(([name]) => name);
  const asked = [...app.functions].filter(([, { authLevel }]) => authLevel === 'function');
  expect(open).toEqual(['health']);
  expect(asked.length).toBeGreaterThanOrEqual(4);
});

describe('an event of a registry', () => {
  const event = (changes: Record<string, unknown> = {}) => ({
    id: 'e1',
    eventType: 'Microsoft.ContainerRegistry.ImagePushed',
    eventTime: '2026-01-01T00:00:00Z',
    data: { target: { repository: SOURCE.repository, tag: SOURCE.tag }, request: { host: REGISTRY } },
    ...changes,
  });

  test.each(['onRegistryEvent', 'onRegistryEventMessage'])('starts its promotion (%s)', async (door) => {
    await pushImage(world.registries.repository(REGISTRY, SOURCE.repository), { tag: SOURCE.tag });
    await deliver(door, event(), message());
    expect(starts()).toEqual(['promote']);
  });

  test.each(['onRegistryEvent', 'onRegistryEventMessage'])(
    '%s: starts the promotion of a registry with a domain name label, pushed to one of its replicas',
    async (door) => {
      const topic = '/subscriptions/1/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/Labelled';
      world.loginServers = new Map([[topic.toLowerCase(), REGISTRY]]);
      app = register(world);
      await pushImage(world.registries.repository(REGISTRY, SOURCE.repository), { tag: SOURCE.tag });
      const data = {
        target: { repository: SOURCE.repository, tag: SOURCE.tag },
        request: { host: 'labelled-a1b2c3.westeurope.geo.azurecr.io' },
      };
      await deliver(door, event({ topic, data }), message());
      expect(starts()).toEqual(['promote']);
    },
  );

  test.each(['onRegistryEvent', 'onRegistryEventMessage'])(
    'of another kind, or malformed, is kept (%s)',
    async (door) => {
      await deliver(door, event({ eventType: 'Microsoft.Storage.BlobCreated' }), message());
      await deliver(door, event({ data: { target: {} } }), message());
      expect(poison()).toEqual([
        ['registry-events-poison', 'UNKNOWN_EVENT_TYPE'],
        ['registry-events-poison', 'EVENT_INVALID'],
      ]);
    },
  );

  test.each(['onRegistryEvent', 'onRegistryEventMessage'])('that can never be handled is kept (%s)', async (door) => {
    const odd = { target: { repository: SOURCE.repository, tag: 'V1' }, request: { host: REGISTRY } };
    world.ruleList = world.ruleList.map((each) => ({
      ...each,
      destination: { reference: `${REGISTRY}/by-tag/{tag}:latest` },
    }));
    await deliver(door, event({ data: odd }), message());
    expect(poison()).toEqual([['registry-events-poison', 'REFERENCE_INVALID']]);
  });

  test('that cannot be handled now is delivered again by Event Grid or put back into the queue', async () => {
    world.rules.load = () => Promise.reject(new TransportError('RULES_UNREADABLE', 'not now'));
    app = register(world);
    await expect(deliver('onRegistryEvent', event())).rejects.toMatchObject({ code: 'RULES_UNREADABLE' });
    expect(world.queues.sent).toEqual([]);
    await deliver('onRegistryEventMessage', event(), message());
    expect(world.queues.sent).toMatchObject([{ queue: 'registry-events', delaySeconds: 30 }]);
  });
});

describe('an event whose manifest is missing', () => {
  const digest = `sha256:${'d'.repeat(64)}`;
  const event = {
    id: 'e1',
    eventType: 'Microsoft.ContainerRegistry.ImagePushed',
    eventTime: '2026-01-01T00:00:00Z',
    data: { target: { repository: SOURCE.repository, digest }, request: { host: REGISTRY } },
  };
  const reasons = async (): Promise<string[]> => (await world.store.listIgnored()).items.map(({ reason }) => reason);

  test('is put into the queue for a quarter of an hour by both triggers, and then kept as ignored', async () => {
    const startedMs = world.nowMs;
    await deliver('onRegistryEvent', event);
    for (let nth = 0; nth < world.queues.sent.length; nth += 1) {
      const { queue, text, delaySeconds } = world.queues.sent[nth] ?? { queue: '', text: '', delaySeconds: 0 };
      expect(queue).toBe('registry-events');
      expect(await reasons()).toEqual([]);
      world.nowMs += delaySeconds * 1000;
      await deliver('onRegistryEventMessage', JSON.parse(text), message(`m${nth}`));
    }
    expect(world.queues.sent.map(({ delaySeconds }) => delaySeconds)).toEqual([10, 20, 40, 80, ...Array(6).fill(120)]);
    expect(world.nowMs - startedMs).toBeLessThanOrEqual(15 * 60_000);
    expect(await reasons()).toEqual([expect.stringContaining(`does not know ${digest} yet`)]);
  });

  test('is handled when the manifest appears', async () => {
    await deliver('onRegistryEventMessage', event, message());
    expect(world.queues.sent).toMatchObject([{ queue: 'registry-events', delaySeconds: 10 }]);
    await pushImage(world.registries.repository(REGISTRY, SOURCE.repository), { tag: SOURCE.tag });
    const again = JSON.parse(world.queues.sent[0]?.text ?? '') as { message: object; retry: object };
    const { digest: there } = await pushImage(world.registries.repository(REGISTRY, SOURCE.repository), {});
    const data = { target: { repository: SOURCE.repository, digest: there }, request: { host: REGISTRY } };
    await deliver('onRegistryEventMessage', { ...again, message: { ...again.message, data } }, message('m2'));
    expect(world.queues.sent).toHaveLength(1);
    expect(await reasons()).toEqual([]);
  });
});

test('an event of more promotions than one call triggers is continued from the queue', async () => {
  const source = world.registries.repository(REGISTRY, SOURCE.repository);
  const root = await pushImage(source, { tag: SOURCE.tag });
  const ids = new Set<string>();
  for (let nth = 0; nth < 120; nth += 1) {
    const { promotionId: id } = await openRun(world, undefined, { ...SOURCE, tag: `v${nth}` });
    ids.add(id);
    await world.store.addToSubjectIndex(
      { registry: REGISTRY, repository: SOURCE.repository, digest: root.digest },
      id,
      { root: root.digest, at: '' },
    );
  }
  const { digest } = await pushArtifact(source, 'application/x-report', { subject: root });
  const target = { repository: SOURCE.repository, digest };
  await deliver('onRegistryEvent', {
    id: 'e1',
    eventType: 'Microsoft.ContainerRegistry.ImagePushed',
    eventTime: '2026-01-01T00:00:00Z',
    data: { target, request: { host: REGISTRY } },
  });
  for (let nth = 0; nth < world.queues.sent.length; nth += 1) {
    const { text, delaySeconds } = world.queues.sent[nth] ?? { text: '', delaySeconds: -1 };
    expect(delaySeconds).toBe(0);
    await deliver('onRegistryEventMessage', JSON.parse(text), message(`m${nth}`));
  }
  expect(world.queues.sent).toHaveLength(2);
  for (const id of ids) expect((await rowOf(world, id)).news?.referrers).toMatchObject([{ digest }]);
});

test('an event of 2,000 promotions takes few table requests one after the other', async () => {
  const source = world.registries.repository(REGISTRY, SOURCE.repository);
  const root = await pushImage(source, { tag: SOURCE.tag });
  const place = { registry: REGISTRY, repository: SOURCE.repository, digest: root.digest };
  for (let nth = 0; nth < 2_000; nth += 1) {
    const { promotionId: id } = await incrementGeneration(
      world,
      rule(),
      { ...SOURCE, tag: `v${nth}` },
      { kind: 'push' },
    );
    await world.store.addToSubjectIndex(place, id, { root: root.digest, at: '' });
  }
  const { digest } = await pushArtifact(source, 'application/x-report', { subject: root });
  const { store } = world;
  // Requests that are under way together are answered together: one round.
  let rounds = 0;
  let answers: Promise<void> | undefined;
  const nextRound = (): Promise<void> =>
    (answers ??= new Promise((resolve) => {
      setTimeout(() => {
        rounds += 1;
        answers = undefined;
        resolve();
      }, 5);
    }));
  const inRounds = new Proxy(store, {
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== 'function') return value;
      return async (...args: unknown[]): Promise<unknown> => {
        await nextRound();
        return value.apply(target, args) as unknown;
      };
    },
  });
  app = register({ ...world, store: inRounds });
  await deliver('onRegistryEvent', {
    id: 'e1',
    eventType: 'Microsoft.ContainerRegistry.ImagePushed',
    eventTime: '2026-01-01T00:00:00Z',
    data: { target: { repository: SOURCE.repository, digest }, request: { host: REGISTRY } },
  });
  // A request takes 40 ms at most: four seconds.
  expect(rounds).toBeLessThan(100);
  expect(world.queues.sent).toMatchObject([{ queue: 'registry-events', delaySeconds: 0 }]);
});

describe('a job', () => {
  const job = { operation: 'promote', source: `${REGISTRY}/samples/app:v1`, id: 'release-7' };

  test('gets a run, and is not started again by a second message', async () => {
    await deliver('onJobMessage', job, message('m1'));
    await deliver('onJobMessage', job, message('m2'));
    await deliver('onJobMessage', { ...job, source: `${REGISTRY}/samples/other:v1` }, message('m3'));
    expect(starts()).toEqual(['runJob']);
    expect(await runOf(world, world.engine.starts[0]?.id ?? '')).toMatchObject({
      state: 'pending',
      input: { job: { source: job.source } },
    });
  });

  test('without an id gets the id of its message', async () => {
    const { id: _none, ...bare } = job;
    await deliver('onJobMessage', bare, message('m1'));
    await deliver('onJobMessage', bare, message('m1'));
    await deliver('onJobMessage', bare, message('m2'));
    expect(starts()).toEqual(['runJob', 'runJob']);
  });

  test('whose run has a row but has not begun is started by a second message', async () => {
    const start = world.engine.start.bind(world.engine);
    world.engine.start = () => Promise.reject(new TransportError('ENGINE_UNAVAILABLE', 'not now'));
    await deliver('onJobMessage', job, message());
    expect(world.queues.sent).toMatchObject([{ queue: 'jobs' }]);
    world.engine.start = start;
    await deliver('onJobMessage', JSON.parse(world.queues.sent[0]?.text ?? ''), message('m2'));
    expect(starts()).toEqual(['runJob']);
  });
});

describe('the schedule', () => {
  const timer = (): Promise<void> => deliver('onSchedule', {});
  /** The message of the loop, as the queue has it. */
  const tick = (): Promise<void> => deliver('onScheduleMessage', JSON.parse(world.queues.sent.at(-1)?.text ?? ''));

  test('is started by the timer; each message of the loop runs a tick and sends the next message', async () => {
    world.ruleList = [rule({ existing: 'promote' })];
    await pushImage(world.registries.repository(REGISTRY, SOURCE.repository), { tag: SOURCE.tag });
    await timer();
    expect(world.queues.sent).toMatchObject([{ queue: 'schedule', delaySeconds: 10 }]);
    expect(starts()).toEqual([]);
    await tick();
    expect(starts()).toEqual(['promote']);
    expect(world.queues.sent).toMatchObject([{ queue: 'schedule' }, { queue: 'schedule', delaySeconds: 60 }]);
    await timer();
    expect(world.queues.sent).toHaveLength(2);
  });

  test('drops a message that was handled before', async () => {
    await timer();
    const first = JSON.parse(world.queues.sent[0]?.text ?? '') as unknown;
    await tick();
    await deliver('onScheduleMessage', first);
    expect(world.queues.sent).toHaveLength(2);
  });

  test('ticks even if the key cannot be read', async () => {
    world.ruleList = [rule({ existing: 'promote' })];
    await pushImage(world.registries.repository(REGISTRY, SOURCE.repository), { tag: SOURCE.tag });
    const current = () => Promise.reject(new TransportError('KEY_VAULT_UNAVAILABLE', 'not now'));
    app = register(world, { current });
    await timer();
    await tick();
    expect(starts()).toEqual(['promote']);
  });
});
