import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually, HostProcess, newHostFolder, readEffects } from '../../../support/host/host-process.js';

const folder = newHostFolder();
let host: HostProcess;

beforeAll(async () => {
  host = await HostProcess.start('durable', folder);
});
afterAll(async () => {
  await host.end();
});

const effects = (start: string) => readEffects(folder.effectsPath).filter((line) => line.startsWith(start));

/** Starts an orchestration and waits for its end. */
async function run(orchestration: string, id: string, input?: unknown) {
  expect(await host.begin(orchestration, id, input)).toBe(202);
  return await host.ended(id);
}

describe('orchestrations', () => {
  test('activities run one after another, with every kind of JSON', async () => {
    const inputs = ['text', '5', 5, 1.5, true, null, { deep: ['ü'] }, ''];
    const status = await run('sequence', 'sequence-1', inputs);
    expect(status).toMatchObject({ name: 'sequence', runtimeStatus: 'Completed', input: inputs, output: inputs });
  });

  test('a fan-out keeps its order and runs in parallel within the limit of host.json', async () => {
    const status = await run('fanOut', 'fan', { count: 16, ms: 30 });
    expect(status.output).toEqual(Array.from({ length: 16 }, (_, index) => `fan-${index}`));
    expect(status.customStatus).toEqual({ count: 16 });
    let running = 0;
    let most = 0;
    for (const line of effects('slow fan-')) {
      running += line.endsWith('begins') ? 1 : -1;
      most = Math.max(most, running);
    }
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(8);
  });

  test('retried tasks are numbered as the library numbers them', async () => {
    expect((await run('retrying', 'retrying-1', { times: 2, attempts: 4 })).output).toEqual([3, 'after']);
    const status = await run('retryingAll', 'retrying-all');
    expect(status.output).toEqual([[3, 'b', 2, 1], 'z']);
  });

  test('after the last attempt the orchestrator gets the error and continues', async () => {
    const { output } = await run('caught', 'caught-1');
    expect(output).toEqual([expect.stringMatching(/^Activity function 'failing' failed: failure 3 of caught-1/), 1]);
    expect(effects('failing caught-1')).toHaveLength(3);
  });

  test('an uncaught error fails the instance', async () => {
    const status = await run('unhandled', 'unhandled-1');
    expect(status.runtimeStatus).toBe('Failed');
    expect(status.output).toMatch(/^Orchestrator function 'unhandled' failed: .*failure 1 of unhandled-1/);
  });

  test('a timer or an event wins a race', async () => {
    expect((await run('race', 'timeout', { ms: 50 })).output).toEqual(['timeout', 'after']);
    await host.begin('race', 'event', { ms: 60_000 });
    expect(await host.post('instances/event/raiseEvent/go', { by: 'event' })).toBe(202);
    expect((await host.ended('event', 10_000)).output).toEqual([{ by: 'event' }, 'after']);
  });

  test('events that arrive early are kept by name', async () => {
    await host.begin('waits', 'early');
    await host.post('instances/early/raiseEvent/two', 2);
    await host.post('instances/early/raiseEvent/one', { is: 1 });
    expect((await host.ended('early')).output).toEqual([{ is: 1 }, 2]);
  });

  test('sub-orchestrations return results and failures and can be retried', async () => {
    const { output } = await run('parent', 'parent-1', { children: [['a'], ['b', 'c']], fail: true });
    expect(output).toEqual({
      results: [['a'], ['b', 'c']],
      failure: expect.stringContaining("Orchestrator function 'unhandled' failed"),
      last: 'last',
    });
    expect((await host.status('parent-1-1'))?.runtimeStatus).toBe('Completed');
  });

  test('continueAsNew starts again with the same id', async () => {
    const status = await run('again', 'again-1', { round: 1, rounds: 4 });
    expect(status).toMatchObject({ output: 'after 4', input: { round: 4, rounds: 4 } });
    expect(effects('echo {"round":3}')).toHaveLength(1);
  });

  test('an orchestration does not end before its open timers, as in the real engine', async () => {
    const begun = Date.now();
    expect((await run('openTimer', 'open')).output).toBe('activity');
    expect(Date.now() - begun).toBeGreaterThan(400);
  });

  test.each(['slow', 'timer'])(
    'an orchestration that asks for another action (%s) than in its history fails, as in the real engine',
    async (to) => {
      const status = await run('changed', `changed-to-${to}`, { from: 'echo', to });
      expect(status.runtimeStatus).toBe('Failed');
      expect(status.output).toMatch(/NON_DETERMINISTIC: the orchestrator no longer asks for echo/);
      expect(effects('echo "more"')).toEqual([]);
    },
  );

  test('actions that fail in the real engine or are not supported here are refused by name', async () => {
    expect((await run('repeated', 'repeated-1')).output).toMatch(/LOCAL_HOST_UNSUPPORTED: .*Task\.any/);
    expect((await run('entity', 'entity-1')).output).toMatch(/LOCAL_HOST_UNSUPPORTED: .*type 7/);
  });
});

describe('the durable endpoints', () => {
  test('starting an active id answers 409, starting an ended id starts it again', async () => {
    await host.begin('waits', 'twice');
    const response = await host.request('/durabletask/orchestrators/waits/twice', { method: 'POST' });
    expect(response.status).toBe(409);
    expect(await response.text()).toMatch(/with the status (Pending|Running) already exists/);
    await host.post('instances/twice/raiseEvent/one', 1);
    await host.post('instances/twice/raiseEvent/two', 2);
    await host.ended('twice');
    expect((await run('sequence', 'twice', ['anew'])).output).toEqual(['anew']);
  });

  test('a termination takes effect at once, and later requests find the instance ended', async () => {
    await host.begin('forever', 'endless');
    expect(await host.post('instances/endless/terminate?reason=enough')).toBe(202);
    expect(await host.ended('endless')).toMatchObject({ runtimeStatus: 'Terminated', output: 'enough' });
    expect(await host.post('instances/endless/terminate')).toBe(410);
    expect(await host.post('instances/endless/raiseEvent/go', 1)).toBe(410);
  });

  test('a suspended instance does nothing until it is resumed', async () => {
    await host.begin('forever', 'resting');
    const historyLength = async () => {
      const response = await host.request('/durabletask/instances/resting?showHistory=true');
      return ((await response.json()) as { historyEvents: unknown[] }).historyEvents.length;
    };
    await eventually('it runs', async () => ((await historyLength()) > 5 ? true : undefined));
    await host.post('instances/resting/suspend');
    await eventually('it rests', async () =>
      (await host.status('resting'))?.runtimeStatus === 'Suspended' ? true : undefined,
    );
    const length = await historyLength();
    await sleep(150);
    expect(await historyLength()).toBe(length);
    await host.post('instances/resting/resume');
    await eventually('it goes on', async () => ((await historyLength()) > length + 3 ? true : undefined));
    await host.post('instances/resting/terminate');
    await host.ended('resting');
  });

  test('malformed and unknown requests have their own status codes', async () => {
    expect(await host.begin('nobody', 'x')).toBe(400);
    expect(await host.begin('sequence', 'a'.repeat(101), [])).toBe(400);
    expect(await host.begin('sequence', 'a%2Fb', [])).toBe(400);
    expect((await host.request('/durabletask/orchestrators/sequence', { method: 'POST', body: '{' })).status).toBe(400);
    expect(await host.post('instances/none/raiseEvent/go', 1)).toBe(404);
    expect(await host.post('instances/none/terminate')).toBe(404);
    expect(await host.post('instances/none/rewind')).toBe(501);
    expect(await host.status('none')).toBeUndefined();
  });

  test('the list has pages, and ended instances can be purged', async () => {
    for (let index = 0; index < 3; index++) {
      await run('sequence', `paged-${index}`, []);
    }
    await host.begin('waits', 'paged-active');
    const path = '/runtime/webhooks/durabletask/instances?instanceIdPrefix=paged-&top=3';
    const first = await host.request(path);
    const token = first.headers.get('x-ms-continuation-token') ?? '';
    const second = await host.request(path, { headers: { 'x-ms-continuation-token': token } });
    const pages = [await first.json(), await second.json()] as { instanceId: string }[][];
    expect(pages.map((page) => page.map((status) => status.instanceId))).toEqual([
      ['paged-0', 'paged-1', 'paged-2'],
      ['paged-active'],
    ]);
    const purge = await host.request('/durabletask/instances?instanceIdPrefix=paged-', { method: 'DELETE' });
    expect(await purge.json()).toEqual({ instancesDeleted: 3 });
    expect((await host.request('/durabletask/instances/paged-active', { method: 'DELETE' })).status).toBe(404);
    expect(await host.status('paged-active')).toBeDefined();
  });
});
