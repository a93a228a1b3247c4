import { isRecord } from '../../oci/index.js';

/** SQLite's code for a database that another connection has locked. */
const SQLITE_BUSY = 5;

/**
 * Locks a file until it is released, or until this process ends, however it ends: the system removes the lock. SQLite is
 * used only for its locks, because Node has no call for them. The file stays empty, and is never removed: two processes
 * could hold locks of two files with one name.
 * @returns a function that releases the lock; undefined if another process or call holds it
 */
export async function lockFile(path: string): Promise<(() => void) | undefined> {
  // Loaded on demand: few commands take a lock.
  const { DatabaseSync } = await import('node:sqlite');
  const file = new DatabaseSync(path);
  try {
    file.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    file.close();
    if (isRecord(error) && error.errcode === SQLITE_BUSY) return undefined;
    throw error;
  }
  return () => {
    if (file.isOpen) file.close();
  };
}
