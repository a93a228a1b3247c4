import { randomUUID } from 'node:crypto';
import { log } from '../log.js';
import type { Database } from './database.js';
import type { Messages } from './messages.js';

export const BEAT_MS = 1000;
/** A host that was silent for so long is dead, whatever now has its process id. */
const DEAD_AFTER_MS = 10_000;

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

/** Says that this host lives, and takes dead ones off the list. */
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
      log('information', 'durable', `the host with process id ${pid} is gone; what it had taken is seen again later`);
    }
  }
}

/** Takes a host off the list. */
export function leave(db: Database, messages: Messages, hostId: string): void {
  db.transaction(() => {
    db.run('DELETE FROM hosts WHERE id = ?', hostId);
    messages.releaseTimers(hostId);
  });
}
