import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { InvocationContext } from '@azure/functions';
import * as df from 'durable-functions';
import { durableEngines } from '../../../src/azure/durable-engine.js';
import type { Engine } from '../../../src/ports/engine.js';

interface Answer {
  status: number;
  body?: unknown;
}

/** The library's own client against a host whose answers the test sets. */
describe('durableEngines', () => {
  const seen: { method: string; url: string; body: string }[] = [];
  let answer: Answer = { status: 500 };
  let server: Server;
  let engine: Engine;

  beforeAll(async () => {
    server = createServer((request, response) => {
      void readBody(request).then((body) => {
        seen.push({ method: request.method ?? '', url: request.url ?? '', body });
        response.writeHead(answer.status, { 'content-type': 'application/json' });
        response.end(answer.body === undefined ? '' : JSON.stringify(answer.body));
      });
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    engine = durableEngines(7)(clientOf((server.address() as AddressInfo).port));
  });
  afterEach(() => {
    seen.length = 0;
  });
  afterAll(() => {
    server.close();
    server.closeAllConnections();
  });

  test('starts an orchestration with the given id', async () => {
    answer = { status: 202, body: { id: 'run-1' } };
    await engine.start('promote', 'run-1', { rule: 'staging' });
    expect(seen).toEqual([
      {
        method: 'POST',
        url: '/runtime/webhooks/durabletask/orchestrators/promote/run-1',
        body: '{"rule":"staging","version":7}',
      },
    ]);
  });

  test.each(['Pending', 'Running'])('does nothing if an instance with the id exists and is %s', async (status) => {
    const body = `An Orchestration instance with the status ${status} already exists.`;
    answer = { status: 409, body };
    await expect(engine.start('promote', 'run-1', {})).resolves.toBeUndefined();
  });

  test.each([
    ['Pending', 202, 'pending'],
    ['Running', 202, 'running'],
    ['ContinuedAsNew', 202, 'running'],
    ['Suspended', 202, 'running'],
    ['Completed', 200, 'ended'],
    ['Failed', 200, 'ended'],
    ['Failed', 400, 'ended'],
    ['Canceled', 200, 'ended'],
    ['Terminated', 200, 'ended'],
  ])('an instance that is %s (%i) is %s', async (runtimeStatus, status, state) => {
    const createdTime = '2026-05-01T12:00:00Z';
    const body = { name: 'promote', instanceId: 'run-1', createdTime, lastUpdatedTime: createdTime, runtimeStatus };
    answer = { status, body: { ...body, input: null, output: null } };
    expect(await engine.state('run-1')).toEqual({ state, createdAt: '2026-05-01T12:00:00.000Z' });
  });

  test('an instance that does not exist is missing', async () => {
    answer = { status: 404, body: 'No instance found' };
    expect(await engine.state('run-1')).toEqual({ state: 'missing' });
  });

  test('sends an event, and does nothing if the instance has ended or does not exist', async () => {
    for (const status of [202, 410, 404]) {
      answer = { status };
      await engine.notify('run-1', 'evidence-2');
    }
    expect(seen.map(({ url }) => url)).toEqual(
      Array.from({ length: 3 }, () => '/runtime/webhooks/durabletask/instances/run-1/raiseEvent/evidence-2'),
    );
  });

  const status = (runtimeStatus: string): Answer => {
    const createdTime = '2026-05-01T12:00:00Z';
    const body = { name: 'promote', instanceId: 'run-1', createdTime, lastUpdatedTime: createdTime, runtimeStatus };
    return { status: 200, body: { ...body, input: null, output: null } };
  };

  test.each(['Pending', 'Running', 'Suspended'])('purges no instance that is %s', async (runtimeStatus) => {
    answer = status(runtimeStatus);
    await engine.purge('run-1');
    expect(seen.map(({ method }) => method)).toEqual(['GET']);
  });

  test('purges an ended instance, and accepts one that does not exist', async () => {
    answer = status('Completed');
    await engine.purge('run-1');
    answer = { status: 404 };
    await engine.purge('run-1');
    expect(seen.map(({ method, url }) => `${method} ${url.split('?', 1)[0] ?? ''}`)).toEqual([
      'GET /runtime/webhooks/durabletask/instances/run-1',
      'DELETE /runtime/webhooks/durabletask/instances/run-1',
      'GET /runtime/webhooks/durabletask/instances/run-1',
    ]);
  });

  test('purges the ended instances of a period', async () => {
    answer = { status: 200, body: { instancesDeleted: 3 } };
    expect(await engine.purgeEnded(new Date(0), new Date('2026-05-01'))).toBe(3);
    answer = { status: 404 };
    expect(await engine.purgeEnded(new Date(0), new Date('2026-05-01'))).toBe(0);
    const url = new URL(seen[0]?.url ?? '', 'http://host');
    expect(seen[0]?.method).toBe('DELETE');
    expect(Object.fromEntries(url.searchParams)).toEqual({
      createdTimeFrom: '1970-01-01T00:00:00.000Z',
      createdTimeTo: '2026-05-01T00:00:00.000Z',
      runtimeStatus: 'Completed,Failed,Terminated',
    });
  });

  test('any other answer, or no answer, is a transient error', async () => {
    const unavailable = { code: 'ENGINE_UNAVAILABLE', transient: true };
    answer = { status: 503, body: 'secret of the host' };
    await expect(engine.start('runJob', 'run-1', {})).rejects.toMatchObject({
      ...unavailable,
      details: { status: 503 },
      message: expect.not.stringContaining('secret'),
    });
    await expect(engine.state('run-1')).rejects.toMatchObject(unavailable);
    await expect(engine.notify('run-1', 'x')).rejects.toMatchObject(unavailable);
    await expect(engine.purge('run-1')).rejects.toMatchObject(unavailable);
    await expect(engine.purgeEnded(new Date(0), new Date())).rejects.toMatchObject(unavailable);
    await expect(durableEngines(7)(clientOf(1)).state('run-1')).rejects.toMatchObject(unavailable);
  });
});

async function readBody(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) {
    text += String(chunk);
  }
  return text;
}

function clientOf(port: number): df.DurableClient {
  const input = df.input.durableClient();
  const context = new InvocationContext({ options: { extraInputs: [input] } });
  context.extraInputs.set(input, {
    taskHubName: 'hub',
    creationUrls: {},
    managementUrls: {},
    rpcBaseUrl: `http://127.0.0.1:${port}/runtime/webhooks/durabletask/`,
  });
  return df.getClient(context);
}
