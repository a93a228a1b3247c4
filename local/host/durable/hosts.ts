import { randomUUID } from 'node:crypto';
import { log } from '../log.js';
import type { Database } from './database.js';
import type { Messages } from './messages.js';

export const BEAT_MS = 1000;

/** Names this process among all that ever used the file: a process id alone comes back. */
export function newHostId(): string {
  return `${process.pid}-${randomUUID()}`;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/**
 * Says that this host lives, and lets go of what dead ones held.
 * @param lockMs a host that was silent for so long is dead, whatever now has its process id.
 * @param keepActivities do as the real host: an activity that a dead host ran is run again only when its lock ends.
 */
export function beat(db: Database, messages: Messages, hostId: string, lockMs: number, keepActivities: boolean): void {
  const now = Date.now();
  db.lock(
    'INSERT INTO hosts (id, pid, beatAt) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET beatAt = excluded.beatAt',
    hostId,
    process.pid,
    now,
  );
  messages.renew();
  for (const row of db.all('SELECT id, pid, beatAt FROM hosts WHERE id <> ?', hostId)) {
    const [id, pid] = [String(row['id']), Number(row['pid'])];
    if (pid === process.pid || !isRunning(pid) || Number(row['beatAt']) < now - lockMs) {
      const released = leave(db, messages, id, keepActivities);
      log('information', 'durable', `the host with process id ${pid} is gone; ${released} of its messages go on here`);
    }
  }
}

/** @returns how many messages it let go of. */
export function leave(db: Database, messages: Messages, hostId: string, keepActivities: boolean): number {
  return db.transaction(() => {
    db.run('DELETE FROM hosts WHERE id = ?', hostId);
    return messages.releaseAll(hostId, keepActivities);
  });
}
