import { beforeEach, expect, jest, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { createChaos } from '../../../../local/host/chaos.js';
import { Database } from '../../../../local/host/durable/database.js';
import { beat, newHostId } from '../../../../local/host/durable/hosts.js';
import { Messages } from '../../../../local/host/durable/messages.js';
import { newHostFolder } from './host-process.js';

const LOCK_MS = 60_000;

beforeEach(() => {
  jest.spyOn(process.stderr, 'write').mockReturnValue(true);
});

/** A file on which a host with process id `pid`, last heard of `silentMs` ago, holds a turn and an activity. */
function fileHeldBy(pid: number, silentMs: number) {
  const db = new Database(join(newHostFolder().dataDir, 'host.sqlite'));
  const other = new Messages(db, 'other', LOCK_MS, createChaos(undefined));
  db.run('INSERT INTO hosts (id, pid, beatAt) VALUES (?, ?, ?)', 'other', pid, Date.now() - silentMs);
  const call = { kind: 'activity', name: 'a', input: 'null' } as const;
  other.send({ queue: 'instance', instance: 'i', execution: '', body: { kind: 'start' } });
  other.send({ queue: 'activity', instance: 'i', execution: '', body: { kind: 'activity', task: 0, call } });
  other.take('instance');
  other.take('activity');
  const hostId = newHostId();
  const messages = new Messages(db, hostId, LOCK_MS, createChaos(undefined));
  return {
    beat: (keepActivities = false) => beat(db, messages, hostId, LOCK_MS, keepActivities),
    free: () => [messages.take('instance') !== undefined, messages.take('activity') !== undefined],
  };
}

const deadPid = () => spawnSync(process.execPath, ['-e', '']).pid;

test('what a dead host held is free at once', () => {
  const file = fileHeldBy(deadPid(), 0);
  expect(file.free()).toEqual([false, false]);
  file.beat();
  expect(file.free()).toEqual([true, true]);
});

test('a process id that came back, ours among them, is not the host that had it', () => {
  const reborn = fileHeldBy(process.pid, 0);
  reborn.beat();
  expect(reborn.free()).toEqual([true, true]);
  const another = fileHeldBy(process.ppid, LOCK_MS + 1000);
  another.beat();
  expect(another.free()).toEqual([true, true]);
});

test('a host that lives keeps what it holds', () => {
  const file = fileHeldBy(process.ppid, 0);
  file.beat();
  expect(file.free()).toEqual([false, false]);
});

test('as the real host: turns go on at once, activities when their lock ends', () => {
  const file = fileHeldBy(deadPid(), 0);
  file.beat(true);
  expect(file.free()).toEqual([true, false]);
});

test('the same seed, the same faults', () => {
  const dice = (seed: number) => {
    const chaos = createChaos(seed);
    return Array.from({ length: 200 }, () => chaos.happens('shuffle'));
  };
  expect(dice(3)).toEqual(dice(3));
  expect(dice(3)).not.toEqual(dice(4));
  expect(dice(3).filter(Boolean).length).toBeGreaterThan(30);
});
