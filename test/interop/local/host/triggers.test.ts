import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { QueueServiceClient } from '@azure/storage-queue';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Database } from '../../../../local/host/durable/database.js';
import { startAzuriteQueue } from '../../../support/host/azurite-queue.js';
import { eventually, HostProcess, newHostFolder, readEffects } from '../../../support/host/host-process.js';

const YEARLY = '0 0 0 1 1 *';
const folder = newHostFolder();
let azurite: Awaited<ReturnType<typeof startAzuriteQueue>>;
let host: HostProcess;
let env: Record<string, string>;

beforeAll(async () => {
  azurite = await startAzuriteQueue();
  env = { Queues: azurite.connectionString, QUEUE: 'work', HUB: 'hub', YEARLY };
  // A schedule that was due while no host ran.
  const db = new Database(join(folder.dataDir, 'host.sqlite'));
  db.run('INSERT INTO timers (name, schedule, last, next) VALUES (?, ?, 0, ?)', 'yearly', YEARLY, Date.now() - 60_000);
  db.close();
  host = await HostProcess.start('triggers', folder, { args: ['--queue-lock-ms', '2000'], env });
}, 60_000);
afterAll(async () => {
  await host.end();
  await azurite.stop();
});

const effects = <T = Record<string, unknown>>(key: string) =>
  readEffects(folder.effectsPath)
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter((effect) => key in effect) as T[];

/** The log is a pipe: a line may come after the answer. */
const logged = (line: RegExp) => eventually(`${line} in the log`, () => (line.test(host.log) ? true : undefined));

describe('HTTP functions', () => {
  test('a function gets method, route values, query, headers and bytes, and its answer is sent', async () => {
    const response = await host.request('/api/Things/a%20b/c/d?q=1&q=2', {
      method: 'POST',
      body: new Uint8Array([0, 255, 10]),
      headers: { 'x-given': 'here' },
    });
    expect(response.status).toBe(201);
    expect(response.headers.get('x-seen')).toBe('here');
    expect(await response.json()).toEqual({
      method: 'POST',
      id: 'a b',
      rest: 'c/d',
      body: '00ff0a',
      q: '1,2',
      path: '/api/Things/a%20b/c/d',
    });
    await logged(/information thing: a thing\\nwas asked for\n/);
  });

  test('the most literal route wins', async () => {
    expect(await (await host.request('/api/things/special/one')).text()).toBe('special');
  });

  test('answers of bytes and of nothing are sent; a wrong route and a wrong method get 404', async () => {
    const bytes = await (await host.request('/api/bytes')).arrayBuffer();
    expect([...new Uint8Array(bytes)]).toEqual([0, 255, 128]);
    const statuses = [];
    for (const [path, method] of [
      ['/api/nothing', 'GET'],
      ['/api/none', 'GET'],
      ['/bytes', 'GET'],
      ['/api/bytes', 'DELETE'],
      ['/api/%zz', 'GET'],
    ] as const) {
      statuses.push((await host.request(path, { method })).status);
    }
    expect(statuses).toEqual([204, 404, 404, 404, 404]);
  });

  test('an error that the function does not catch is only logged', async () => {
    const response = await host.request('/api/broken');
    expect([response.status, await response.text()]).toEqual([500, '']);
    await logged(/a secret detail/);
  });
});

describe('the durable client', () => {
  const manage = async (operation: string, id: string, body?: unknown) => {
    const response = await host.request(`/api/manage/${operation}/${id}`, {
      method: 'POST',
      body: JSON.stringify(body ?? null),
    });
    return (await response.json()) as { result?: { runtimeStatus?: string; output?: unknown }; message?: string };
  };

  test('the client starts, queries, raises events, refuses a used id and purges', async () => {
    const start = async () => await host.request('/api/start/waiting/one', { method: 'POST', body: '{"a":1}' });
    const response = await start();
    expect(response.status).toBe(202);
    const links = (await response.json()) as Record<string, string>;
    // The link is for the client of the function, under the port that it knows.
    expect(links['statusQueryGetUri']).toMatch(
      new RegExp(`^http://127.0.0.1:${host.port}/runtime/webhooks/durabletask/instances/one\\?taskHub=hub`),
    );
    expect((await fetch(links['statusQueryGetUri'] ?? '')).status).toBe(202);
    expect((await start()).status).toBe(500);
    await logged(/status code: 409.*already exists/);
    await manage('raise', 'one', 'gone');
    await host.ended('one');
    expect((await manage('status', 'one')).result).toMatchObject({
      runtimeStatus: 'Completed',
      output: [{ a: 1 }, 'gone'],
    });
    expect((await manage('list', 'one')).result).toHaveLength(1);
    expect((await manage('purge', 'one')).result).toEqual({ instancesDeleted: 1 });
    expect((await manage('raise', 'one', 1)).message).toMatch(/No instance with ID 'one'/);
    expect((await manage('status', 'one')).message).toMatch(/404/);
  });

  test('the client suspends, resumes and terminates', async () => {
    await host.request('/api/start/waiting/two', { method: 'POST', body: '1' });
    await manage('suspend', 'two');
    await eventually('it rests', async () =>
      (await host.status('two'))?.runtimeStatus === 'Suspended' ? true : undefined,
    );
    await manage('resume', 'two');
    await manage('terminate', 'two');
    expect((await host.ended('two')).output).toBe('enough');
  });
});

describe('Event Grid', () => {
  const post = async (body: unknown, headers: Record<string, string>, name = 'onEvent') =>
    await host.request(`/runtime/webhooks/eventgrid?functionName=${name}`, {
      method: 'POST',
      body: typeof body === 'string' ? body : JSON.stringify(body),
      headers,
    });
  const notification = { 'aeg-event-type': 'Notification' };

  test('the validation of a subscription is answered', async () => {
    const response = await post([{ id: '0', data: { validationCode: 'abc' } }], {
      'aeg-event-type': 'SubscriptionValidation',
    });
    expect([response.status, await response.json()]).toEqual([200, { validationResponse: 'abc' }]);
  });

  test('each event of a delivery is a call', async () => {
    const response = await post(
      [
        { id: 'g1', data: { n: 1 } },
        { id: 'g2', data: { n: 2 } },
      ],
      notification,
    );
    expect(response.status).toBe(202);
    expect(effects('event')).toEqual(
      expect.arrayContaining([
        { event: 'g1', data: { n: 1 } },
        { event: 'g2', data: { n: 2 } },
      ]),
    );
  });

  test('a call that fails makes the delivery fail', async () => {
    expect((await post([{ id: 'g3' }, { id: 'g4', data: { fail: true } }], notification)).status).toBe(500);
  });

  test('CloudEvents arrive by handshake, single and in batches', async () => {
    const handshake = await host.request('/runtime/webhooks/EventGrid?functionName=ONEVENT', {
      method: 'OPTIONS',
      headers: { 'WebHook-Request-Origin': 'eventgrid.example' },
    });
    expect([handshake.status, handshake.headers.get('webhook-allowed-origin')]).toEqual([200, 'eventgrid.example']);
    const type = (name: string) => ({ 'content-type': `${name}; charset=utf-8` });
    expect((await post({ id: 'c1', specversion: '1.0' }, type('application/cloudevents+json'))).status).toBe(202);
    expect((await post([{ id: 'c2' }, { id: 'c3' }], type('application/cloudevents-batch+json'))).status).toBe(202);
    expect(effects<{ event: string }>('event').map((effect) => effect.event)).toEqual(
      expect.arrayContaining(['c1', 'c2', 'c3']),
    );
  });

  test('a missing type gets 400, an unknown function 404, broken JSON 500 and too large a body 413', async () => {
    expect((await post([], {})).status).toBe(400);
    expect((await post([], notification, 'nobody')).status).toBe(404);
    expect((await post('{', notification)).status).toBe(500);
    expect((await post('x'.repeat(1_200_000), notification)).status).toBe(413);
  });
});

describe('timer functions', () => {
  test('a timer that was due while no host ran fires once, as past due', async () => {
    const [first] = await eventually('it runs', () => (effects('timer').length > 0 ? effects('timer') : undefined));
    expect(first).toMatchObject({ timer: true, next: expect.stringMatching(/^\d{4}-01-01T00:00:00/) });
    expect(effects('timer')).toHaveLength(1);
  });

  test('a timer fires on time, and keeps no status if it fires more than once a minute', async () => {
    await eventually('it runs twice', () => (effects('second').length > 1 ? true : undefined));
    expect(effects('second')[0]).toEqual({ second: false, status: null });
  });

  test('a timer fires on request', async () => {
    const before = effects('timer').length;
    expect((await host.request('/admin/functions/yearly', { method: 'POST' })).status).toBe(202);
    await eventually('it runs', () => (effects('timer').length > before ? true : undefined));
    expect(effects('timer').at(-1)).toMatchObject({ timer: false });
    expect((await host.request('/admin/functions/none', { method: 'POST' })).status).toBe(404);
  });
});

describe('queue functions', () => {
  const queue = (name: string) =>
    QueueServiceClient.fromConnectionString(azurite.connectionString).getQueueClient(name);
  const send = async (value: unknown) =>
    await queue('work').sendMessage(Buffer.from(JSON.stringify(value)).toString('base64'));
  const seen = (name: string) =>
    effects<{ message: { name: string }; dequeueCount: number }>('message').filter(
      (effect) => effect.message.name === name,
    );
  const poison = async () => {
    const client = queue('work-poison');
    return (await client.exists()) ? (await client.peekMessages({ numberOfMessages: 32 })).peekedMessageItems : [];
  };

  test('a message arrives parsed with its metadata and is deleted', async () => {
    await send({ name: 'good' });
    await eventually('it arrives', () => seen('good')[0]);
    expect(seen('good')).toEqual([{ message: { name: 'good' }, dequeueCount: 1, hasId: true }]);
    await eventually('it is gone', async () =>
      (await queue('work').getProperties()).approximateMessagesCount === 0 ? true : undefined,
    );
  });

  test('a failed message is retried, and after maxDequeueCount it is in the poison queue unchanged', async () => {
    await send({ name: 'second time', fail: 1 });
    await send({ name: 'bad', fail: 99 });
    await queue('work').sendMessage('no base64!');
    await eventually('the second try', () => seen('second time')[1]);
    const lost = await eventually('both are poison', async () => {
      const items = await poison();
      return items.length === 2 ? items : undefined;
    });
    expect(seen('bad').map((effect) => effect.dequeueCount)).toEqual([1, 2, 3]);
    expect(lost.map((item) => item.messageText).sort()).toEqual(
      [Buffer.from('{"name":"bad","fail":99}').toString('base64'), 'no base64!'].sort(),
    );
  });

  test('with messageEncoding none the text arrives unchanged or as parsed JSON, and poison is unchanged', async () => {
    const plain = newHostFolder();
    await queue('plain').create();
    const other = await HostProcess.start('plain-queue', plain, { env: { ...env, QUEUE: 'plain' } });
    try {
      const inBase64 = Buffer.from('{"name":"in base64"}').toString('base64');
      const bad = '{"name":"bad","fail":99}';
      for (const text of ['{"name":"plain"}', inBase64, 'no base64!', bad]) await queue('plain').sendMessage(text);
      const lost = await eventually('the bad one is poison', async () => {
        const client = queue('plain-poison');
        return (await client.exists()) ? (await client.peekMessages()).peekedMessageItems[0] : undefined;
      });
      expect(lost.messageText).toBe(bad);
      const arrived = await eventually('all four arrive, one of them twice', () => {
        const lines = readEffects(plain.effectsPath).map((line) => JSON.parse(line) as { message?: unknown });
        const messages = lines.flatMap(({ message }) => (message === undefined ? [] : [message]));
        return messages.length === 5 ? messages : undefined;
      });
      expect(arrived).toEqual(
        expect.arrayContaining([{ name: 'plain' }, inBase64, 'no base64!', { name: 'bad', fail: 99 }]),
      );
    } finally {
      await other.end();
    }
  }, 120_000);

  test('a function that runs longer than the lock keeps its message', async () => {
    await send({ name: 'long', ms: 3500 });
    await eventually('it arrives', () => seen('long')[0]);
    await eventually('it is gone', async () =>
      (await queue('work').getProperties()).approximateMessagesCount === 0 ? true : undefined,
    );
    expect(seen('long')).toHaveLength(1);
  });
});

test('with hang, a queue function keeps its message until functionTimeout and gets it again, while other messages are handled', async () => {
  const TIMEOUT_MS = 4_000;
  const place = newHostFolder();
  const client = QueueServiceClient.fromConnectionString(azurite.connectionString).getQueueClient('hung');
  await client.create();
  const lies = [
    '--chaos',
    '1',
    '--lies',
    'hang@1',
    '--function-timeout-ms',
    `${TIMEOUT_MS}`,
    '--queue-lock-ms',
    '1000',
  ];
  const other = await HostProcess.start('plain-queue', place, { args: lies, env: { ...env, QUEUE: 'hung' } });
  const seen = () =>
    readEffects(place.effectsPath).flatMap((line) => {
      const { message, dequeueCount } = JSON.parse(line) as { message?: { name: string }; dequeueCount?: number };
      return message === undefined ? [] : [`${message.name} ${dequeueCount}`];
    });
  try {
    const startedMs = Date.now();
    await client.sendMessage('{"name":"first"}');
    await eventually('it hangs', () => (other.log.includes('by --chaos: hang') ? true : undefined));
    await client.sendMessage('{"name":"second"}');
    await eventually('the first is seen again', () => seen().find((line) => line === 'first 2'));
    // Held for four times its lock, and by nobody else.
    expect(Date.now() - startedMs).toBeGreaterThan(TIMEOUT_MS);
    // It may have been seen before it hung, as `first 1`.
    expect(seen().filter((line) => line !== 'first 1')).toEqual(['second 1', 'first 2']);
  } finally {
    await other.end('SIGKILL');
  }
}, 60_000);

describe('starting', () => {
  const failing = async (args: string[], changes: Record<string, string> = {}) =>
    await HostProcess.start('triggers', newHostFolder(), { args, env: { ...env, ...changes } }).catch(String);

  test('a host that cannot start reports an error code', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    const [inUse, option, schedule, app] = await Promise.all([
      failing(['--port', String(port)]),
      failing(['--port', 'many']),
      failing([], { YEARLY: 'at noon' }),
      failing(['--app', '/nowhere']),
    ]);
    taken.close();
    expect(inUse).toMatch(/"code":"PORT_IN_USE".*--port/);
    expect(option).toMatch(/"code":"BAD_OPTION"/);
    expect(schedule).toMatch(/"code":"BAD_SCHEDULE"/);
    expect(app).toMatch(/"code":"BAD_SETTINGS"/);
  }, 120_000);

  test('with --keys, functions of authLevel function and the webhooks require a key', async () => {
    const guarded = await HostProcess.start('triggers', newHostFolder(), {
      args: ['--keys'],
      env: { ...env, QUEUE: 'other' },
    });
    const path = guarded.keysPath ?? '';
    expect(statSync(path).mode & 0o077).toBe(0);
    const keys = JSON.parse(readFileSync(path, 'utf8')) as Record<string, string>;
    const status = async (path: string, headers: Record<string, string> = {}) =>
      (await guarded.request(path, { headers })).status;
    const eventGrid = async (query: string) =>
      (
        await guarded.request(`/runtime/webhooks/eventgrid?functionName=onEvent${query}`, {
          method: 'POST',
          body: '[]',
          headers: { 'aeg-event-type': 'Notification' },
        })
      ).status;
    expect([
      await status('/api/guarded'),
      await status('/api/guarded?code=wrong'),
      await status(`/api/guarded?code=${keys['eventgrid']}`),
      await status(`/api/guarded?code=${keys['function']}`),
      await status('/api/guarded', { 'x-functions-key': keys['master'] ?? '' }),
      await status('/api/special/one'),
      await status('/runtime/webhooks/durabletask/instances/x'),
      await status(`/runtime/webhooks/durabletask/instances/x?code=${keys['durabletask']}`),
      await eventGrid(''),
      await eventGrid(`&code=${keys['eventgrid']}`),
      (await guarded.request('/admin/functions/yearly', { method: 'POST' })).status,
    ]).toEqual([401, 401, 401, 200, 200, 404, 401, 404, 401, 202, 401]);
    // What an app's own durable client does needs no key.
    expect((await guarded.request('/api/start/waiting/x', { method: 'POST', body: '1' })).status).toBe(202);
    expect(guarded.log).not.toContain(keys['function']);
    await guarded.end();
  }, 120_000);
});
