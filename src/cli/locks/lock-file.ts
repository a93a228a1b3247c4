import { rmSync } from 'node:fs';
import { isRecord } from '../../oci/index.js';

/** SQLite's code for a database that another connection has locked. */
const SQLITE_BUSY = 5;
/** The longest wait for the guard, in milliseconds. It is held for about a millisecond. */
const GUARD_MS = 1_000;

/**
 * Locks a file until it is released, or until this process ends, however it ends: the system removes the lock. SQLite is
 * used only for its locks, because Node has no call for them. The file stays empty.
 * @param guard a file that is locked while the other file is opened or removed: a process must not open a file that
 * another one removes, and lock it then. Without a guard, the file stays after the release. The guard always stays.
 * @returns a function that releases the lock; undefined if another process or call holds it
 */
export async function lockFile(path: string, guard?: string): Promise<(() => void) | undefined> {
  // Loaded on demand: few commands take a lock.
  const { DatabaseSync } = await import('node:sqlite');
  const lock = (name: string, waitMs: number): (() => void) | undefined => {
    const file = new DatabaseSync(name);
    try {
      file.exec(`PRAGMA busy_timeout = ${waitMs}; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE`);
    } catch (error) {
      file.close();
      if (isRecord(error) && error.errcode === SQLITE_BUSY) return undefined;
      throw error;
    }
    return () => {
      if (file.isOpen) file.close();
    };
  };
  if (guard === undefined) return lock(path, 0);
  // Synchronous, so that no other call of this process waits for the guard meanwhile.
  const guarded = <T>(work: () => T): T | undefined => {
    const release = lock(guard, GUARD_MS);
    try {
      return release && work();
    } finally {
      release?.();
    }
  };
  const release = guarded(() => lock(path, 0));
  if (release === undefined) return undefined;
  let isHeld = true;
  return () => {
    if (!isHeld) return;
    isHeld = false;
    try {
      guarded(() => {
        // Windows removes no file that is open.
        release();
        rmSync(path, { force: true });
      });
    } catch {
      // The file stays.
    }
    release();
  };
}
