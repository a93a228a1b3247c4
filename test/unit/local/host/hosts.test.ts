import { beforeEach, expect, jest, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createChaos, parseLies } from '../../../../local/host/chaos.js';
import { Database } from '../../../../local/host/durable/database.js';
import { beat, newHostId } from '../../../../local/host/durable/hosts.js';
import { Messages } from '../../../../local/host/durable/messages.js';
import { newHostFolder } from '../../../support/host/host-process.js';

/** Locks of instances and activities expire after this time; a test may wait for it. */
const LOCK_MS = 400;
const LOCKS = { instance: LOCK_MS, activity: LOCK_MS, schedule: 60_000 };

beforeEach(() => {
  jest.spyOn(process.stderr, 'write').mockReturnValue(true);
});

/**
 * A file in which a host with process id `pid` holds a turn, an activity and a tick; its last sign of life was
 * `silentMs` ago.
 */
function fileHeldBy(pid: number, silentMs: number) {
  const db = new Database(join(newHostFolder().dataDir, 'host.sqlite'));
  const other = new Messages(db, 'other', LOCKS, createChaos(undefined));
  db.run('INSERT INTO hosts (id, pid, beatAt) VALUES (?, ?, ?)', 'other', pid, Date.now() - silentMs);
  const call = { kind: 'activity', name: 'a', input: 'null' } as const;
  other.send({ queue: 'instance', instance: 'i', execution: '', body: { kind: 'start' } });
  other.send({ queue: 'activity', instance: 'i', execution: '', body: { kind: 'activity', task: 0, call } });
  const tick = { kind: 'schedule', isPastDue: false, last: 0, next: 0, monitored: true } as const;
  other.send({ queue: 'schedule', instance: 't', execution: '', body: tick });
  const queues = ['instance', 'activity', 'schedule'] as const;
  for (const queue of queues) other.take(queue);
  const hostId = newHostId();
  const messages = new Messages(db, hostId, LOCKS, createChaos(undefined));
  return {
    beat: () => beat(db, messages, hostId),
    renew: () => other.renew(),
    hosts: () => db.all('SELECT id FROM hosts').map(({ id }) => id),
    free: () => queues.map((queue) => messages.take(queue) !== undefined),
  };
}

const deadPid = () => spawnSync(process.execPath, ['-e', '']).pid;

test('turns and activities of a dead host become visible when their lock expires, and not before', async () => {
  const file = fileHeldBy(deadPid(), 0);
  file.beat();
  expect(file.hosts()).not.toContain('other');
  expect(file.free()).toEqual([false, false, true]);
  await sleep(LOCK_MS + 50);
  expect(file.free()).toEqual([true, true, false]);
});

test('a reused process id, even ours, does not count as the former host', () => {
  for (const [pid, silentMs] of [
    [process.pid, 0],
    [process.ppid, 11_000],
  ] as const) {
    const file = fileHeldBy(pid, silentMs);
    file.beat();
    expect(file.hosts()).not.toContain('other');
  }
});

test('a living host keeps its messages longer than their lock time', async () => {
  const file = fileHeldBy(process.ppid, 0);
  for (let renewals = 0; renewals < 4; renewals += 1) {
    await sleep(LOCK_MS / 2);
    file.renew();
  }
  file.beat();
  expect(file.hosts()).toContain('other');
  expect(file.free()).toEqual([false, false, false]);
});

test('only the named faults happen; a numbered one happens once, to the named function', () => {
  const failing = createChaos(1, parseLies('fail-turn'));
  const faults = Array.from({ length: 20_000 }, () => failing.happens('failTurn', 'promote'));
  // Three in a thousand, and ten in the life of a process.
  expect(faults.filter(Boolean)).toHaveLength(10);
  expect(Array.from({ length: 2_000 }, () => failing.happens('hang', 'promote'))).not.toContain(true);
  expect(failing.delayMs('timer')).toBe(0);
  const third = createChaos(1, parseLies('hang:observe@3'));
  const calls = ['observe', 'copy', 'observe', 'copy', 'observe', 'observe'].map((name) => third.happens('hang', name));
  expect(calls).toEqual([false, false, false, false, true, false]);
});

test('the same seed gives the same faults', () => {
  const dice = (seed: number) => {
    const chaos = createChaos(seed);
    return Array.from({ length: 200 }, () => chaos.happens('shuffle'));
  };
  expect(dice(3)).toEqual(dice(3));
  expect(dice(3)).not.toEqual(dice(4));
  expect(dice(3).filter(Boolean).length).toBeGreaterThan(30);
});
