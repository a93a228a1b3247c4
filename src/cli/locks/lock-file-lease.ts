import { createHash } from 'node:crypto';
import { lstat } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { ConfigurationError, makeFolder, TransportError, type HeldLease, type Lease } from '../../oci/index.js';
import { LOCK_LIMITS, LockFile, sweepLocks } from './lock-file.js';

interface LockFileOptions {
  /** Milliseconds without renewal after which a lease is lost. Renewed each quarter of that time. Default: 20,000. */
  staleMs?: number;
}

/** A lock that is renewed until it is released or lost. Its timers do not keep the process alive. */
class HeldLock implements HeldLease {
  readonly #what: string;
  readonly #lock: LockFile;
  readonly #number: number;
  readonly #staleMs: number;
  readonly #lost = new AbortController();
  readonly #renewing: NodeJS.Timeout;
  #heldUntilMs: number;
  #released: Promise<void> | undefined;

  constructor(what: string, lock: LockFile, number: number, options: { staleMs: number; fromMs: number }) {
    this.#what = what;
    this.#lock = lock;
    this.#number = number;
    this.#staleMs = options.staleMs;
    this.#heldUntilMs = options.fromMs + options.staleMs;
    this.#renewing = setInterval(() => void this.#renew(), options.staleMs / 4).unref();
  }

  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  get heldUntilMs(): number {
    return this.#heldUntilMs;
  }

  async #renew(): Promise<void> {
    const fromMs = Date.now();
    // After the lease has ended, another process may have taken and released the lock, so it is not renewed.
    if (fromMs >= this.#heldUntilMs) return this.#lose('it could not be renewed in time');
    try {
      if (!(await this.#lock.renew(this.#number))) this.#lose('another process has taken it');
      else if (!this.signal.aborted) this.#heldUntilMs = fromMs + this.#staleMs;
    } catch {
      // The folder may be back before the lease ends.
      if (Date.now() >= this.#heldUntilMs - this.#staleMs / 4) this.#lose('it could not be renewed in time');
    }
  }

  #lose(reason: string): void {
    clearInterval(this.#renewing);
    // After the release, a lost lease no longer matters.
    if (this.#released !== undefined) return;
    this.#heldUntilMs = 0;
    this.#lost.abort(
      new TransportError('LEASE_LOST', `the lease of ${this.#what} was lost: ${reason}`, {
        remedy: 'Nothing was written after that. Repeat the command.',
      }),
    );
  }

  release(): Promise<void> {
    clearInterval(this.#renewing);
    // A lock that cannot be released expires by itself; the work under it is done.
    this.#released ??= this.signal.aborted
      ? Promise.resolve()
      : this.#lock.release(this.#number).catch(() => undefined);
    return this.#released;
  }
}

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

/**
 * Leases by lock files, for processes of one user on one machine. A killed holder loses its lease at once, a hanging one
 * when it has not renewed it in time.
 * @param folder is made if missing; it must not be a link, and holds files of leases only
 * @throws ConfigurationError `LOCK_FOLDER_UNUSABLE`, when a lease is acquired
 */
export function createLockFileLease(folder: string, options: LockFileOptions = {}): Lease {
  const staleMs = options.staleMs ?? LOCK_LIMITS.staleMs;
  let opened: Promise<void> | undefined;
  const open = async (): Promise<void> => {
    await openFolder(folder);
    // A file that cannot be removed does no harm.
    await sweepLocks(folder).catch(() => undefined);
  };
  return {
    acquire: async (name, { waitMs = 0, signal } = {}) => {
      opened ??= open();
      await opened.catch((error: unknown) => {
        opened = undefined;
        throw error;
      });
      // A lease name may be any string, a file name may not.
      const key = createHash('sha256').update(name).digest('hex').slice(0, 40);
      const lock = new LockFile(folder, key, staleMs);
      const untilMs = Date.now() + waitMs;
      for (;;) {
        signal?.throwIfAborted();
        const fromMs = Date.now();
        const number = await lock.take();
        if (number !== undefined) return new HeldLock(name, lock, number, { staleMs, fromMs });
        const leftMs = untilMs - Date.now();
        if (leftMs <= 0) return undefined;
        // Jitter, so that waiting processes do not check at the same moment.
        await pause(Math.min(leftMs, LOCK_LIMITS.lookMs * (0.5 + Math.random())), undefined, signal && { signal });
      }
    },
  };
}
