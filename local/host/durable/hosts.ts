import { randomUUID } from 'node:crypto';
import { log } from '../log.js';
import type { Database } from './database.js';
import type { Messages } from './messages.js';

export const BEAT_MS = 1000;
/** A host without a sign of life for this long is dead, even if its process id is in use. Milliseconds. */
const DEAD_AFTER_MS = 10_000;

/** A unique id for this process. A process id alone would be reused. */
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

/** Records that this host is alive, and removes dead hosts. */
export function beat(db: Database, messages: Messages, hostId: string): void {
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
    if (pid === process.pid || !isRunning(pid) || Number(row['beatAt']) < now - DEAD_AFTER_MS) {
      leave(db, messages, id);
      log('information', 'durable', `the host with process id ${pid} is gone; its messages become visible again later`);
    }
  }
}

/** Removes a host from the list. */
export function leave(db: Database, messages: Messages, hostId: string): void {
  db.transaction(() => {
    db.run('DELETE FROM hosts WHERE id = ?', hostId);
    messages.releaseTimers(hostId);
  });
}
