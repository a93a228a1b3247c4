import { expect, test } from '@jest/globals';
import { join } from 'node:path';
import type { AppFunction } from '../../../../local/host/app.js';
import { createChaos } from '../../../../local/host/chaos.js';
import { Database } from '../../../../local/host/durable/database.js';
import { Messages } from '../../../../local/host/durable/messages.js';
import type { ScheduleBody } from '../../../../local/host/durable/messages.js';
import { createTimerTrigger } from '../../../../local/host/triggers/timer.js';
import { newHostFolder } from '../../../support/host/host-process.js';

const timerFunction = (schedule: string): AppFunction => ({
  name: 'tick',
  metadata: { name: 'tick', bindings: {} },
  callback: () => undefined,
  triggerName: 'timer',
  trigger: { type: 'timerTrigger', direction: 'in', schedule },
});

/** Two hosts with timers on one file. */
function twoHosts(schedule: string) {
  const path = join(newHostFolder().dataDir, 'host.sqlite');
  const ran: string[] = [];
  const hosts = ['one', 'two'].map((name) => {
    const db = new Database(path);
    const messages = new Messages(
      db,
      name,
      { instance: 60_000, activity: 60_000, schedule: 60_000 },
      createChaos(undefined),
    );
    const invoker = {
      invoke: async (_fn: AppFunction, trigger: { json?: string }) => {
        ran.push(trigger.json ?? '');
        return { raw: undefined, returnValue: undefined };
      },
    };
    return { db, messages, timers: createTimerTrigger([timerFunction(schedule)], db, messages, invoker, {}) };
  });
  return { hosts, ran };
}

test('one of several hosts runs a tick, and a tick is dropped while the function still runs', async () => {
  const { hosts, ran } = twoHosts('0 0 0 1 1 *');
  const [one, two] = hosts;
  const makeDue = () => one?.db.run('UPDATE timers SET next = ?', Date.now() - 5);
  const tickBoth = () => {
    one?.timers.tick();
    two?.timers.tick();
  };
  makeDue();
  tickBoth();
  makeDue();
  tickBoth();
  const taken = hosts.map((host) => host.messages.take<ScheduleBody>('schedule'));
  expect(taken.map((message) => message !== undefined)).toEqual([true, false]);
  const [message] = taken;
  if (message !== undefined) {
    await one?.timers.run(message);
  }
  expect(ran).toHaveLength(1);
  makeDue();
  tickBoth();
  expect(two?.messages.take<ScheduleBody>('schedule')).toBeDefined();
});

test('a changed schedule starts again', () => {
  const { hosts } = twoHosts('0 0 0 1 1 *');
  const [host] = hosts;
  const next = () => Number(host?.db.get('SELECT next FROM timers')?.['next']);
  const before = next();
  host?.db.run('UPDATE timers SET next = 1');
  if (host !== undefined) {
    createTimerTrigger([timerFunction('0 0 0 1 2 *')], host.db, host.messages, { invoke: () => Promise.reject() }, {});
  }
  expect(next()).toBeGreaterThan(Date.now());
  expect(next()).not.toBe(before);
});

test.each(['00:05:00', '5'])('a time span as schedule (%s) is refused', (schedule) => {
  expect(() => twoHosts(schedule)).toThrow(
    expect.objectContaining({ code: schedule === '5' ? 'BAD_SCHEDULE' : 'LOCAL_HOST_UNSUPPORTED' }),
  );
});
