import { createHash } from 'node:crypto';
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ConfigurationError, makeFolder, type HeldLease, type Lease } from '../../oci/index.js';
import { lockFile } from './lock-file.js';

/** The pause between two checks of a held lock in milliseconds, before jitter. */
const LOOK_MS = 40;
/** A lock does not end while its process runs: work under it may always last this long, in milliseconds. */
const HELD_MS = 60_000;

/** The folder must belong only to this user: with files of others, two processes could hold one lock. */
async function openFolder(folder: string): Promise<void> {
  try {
    await makeFolder(folder, 0o700);
    const { uid, mode } = await lstat(folder);
    const user = process.getuid?.();
    if (user === undefined || (uid === user && (mode & 0o022) === 0)) return;
  } catch (cause) {
    throw new ConfigurationError('LOCK_FOLDER_UNUSABLE', `the folder for locks, ${folder}, cannot be used`, { cause });
  }
  throw new ConfigurationError('LOCK_FOLDER_UNUSABLE', `the folder for locks, ${folder}, can be written by others`, {
    remedy: 'Delete the folder, or make it yours with mode 700.',
  });
}

function heldLease(release: () => void): HeldLease {
  return {
    signal: new AbortController().signal,
    get heldUntilMs() {
      return Date.now() + HELD_MS;
    },
    release: async () => release(),
  };
}

/**
 * Leases by lock files, for processes of one user on one machine. A killed holder loses its lease at once; a stopped one
 * keeps it.
 * @param folder is made if missing; it must not be a link, and holds files of leases only
 * @throws ConfigurationError `LOCK_FOLDER_UNUSABLE`, when a lease is acquired
 */
export function createLockFileLease(folder: string): Lease {
  return {
    acquire: async (name, { waitMs = 0, signal } = {}) => {
      await openFolder(folder);
      // A lease name may be any string, a file name may not.
      const path = join(folder, createHash('sha256').update(name).digest('hex').slice(0, 40));
      const untilMs = Date.now() + waitMs;
      for (;;) {
        signal?.throwIfAborted();
        const release = await lockFile(path, join(folder, 'guard'));
        if (release !== undefined) return heldLease(release);
        const leftMs = untilMs - Date.now();
        if (leftMs <= 0) return undefined;
        // Jitter, so that waiting processes do not check at the same moment.
        await pause(Math.min(leftMs, LOOK_MS * (0.5 + Math.random())), undefined, signal && { signal });
      }
    },
  };
}
