import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { isRecord } from './descriptor.js';
import { digestOf } from './digest.js';
import type { HeldLease, Lease } from './lease.js';

export interface LockFileOptions {
  /** Milliseconds after which a holder that does not renew has lost it. 20 s as it comes; renewed four times in it. */
  staleMs?: number;
}

const STALE_MS = 20_000;
/** Milliseconds between two looks at a lock that another holds. */
const LOOK_MS = 40;
const RELEASED = 'released';

function hasCode(error: unknown, code: string): boolean {
  return isRecord(error) && error.code === code;
}

/** Files of a lock are numbered; the highest number holds it. It is only taken away after a higher one has been made. */
class Lock {
  readonly #folder: string;
  readonly #name: string;
  readonly #staleMs: number;

  constructor(folder: string, name: string, staleMs: number) {
    this.#folder = folder;
    // Any string may be a name: a file's may not.
    this.#name = digestOf(new TextEncoder().encode(name)).slice('sha256:'.length, 'sha256:'.length + 40);
    this.#staleMs = staleMs;
  }

  async #numbers(): Promise<number[]> {
    const prefix = `${this.#name}.`;
    const names = (await readdir(this.#folder)).filter((name) => name.startsWith(prefix));
    return names.map((name) => Number(name.slice(prefix.length))).sort((a, b) => a - b);
  }

  #path(number: number): string {
    return join(this.#folder, `${this.#name}.${number}`);
  }

  /** Free where there is none, or it was released, its process has ended, or it was not renewed for too long. */
  async #isFree(number: number | undefined): Promise<boolean> {
    if (number === undefined) return true;
    try {
      const text = await readFile(this.#path(number), 'utf8');
      if (text.startsWith(RELEASED)) return true;
      const pid = Number(text.split(' ', 1)[0]);
      if (Number.isSafeInteger(pid) && pid > 0 && !isAlive(pid)) return true;
      return Date.now() - (await stat(this.#path(number))).mtimeMs > this.#staleMs;
    } catch (error) {
      // Taken away: a higher one has been made meanwhile.
      if (hasCode(error, 'ENOENT')) return false;
      throw error;
    }
  }

  /** @returns the number that was taken, or undefined where another holds the lock. */
  async take(): Promise<number | undefined> {
    const numbers = await this.#numbers();
    const highest = numbers.at(-1);
    if (!(await this.#isFree(highest))) return undefined;
    const mine = (highest ?? 0) + 1;
    try {
      const file = await open(this.#path(mine), 'wx', 0o600);
      await file.writeFile(`${process.pid} ${randomUUID()}`);
      await file.close();
    } catch (error) {
      if (hasCode(error, 'EEXIST')) return undefined;
      throw error;
    }
    if (!(await this.isMine(mine))) {
      // We were slow, and the numbers have gone past the one that we saw.
      await rm(this.#path(mine), { force: true });
      return undefined;
    }
    await Promise.all(numbers.map((number) => rm(this.#path(number), { force: true })));
    return mine;
  }

  async isMine(number: number): Promise<boolean> {
    return (await this.#numbers()).at(-1) === number;
  }

  /** @returns false where it has been lost. */
  async renew(number: number): Promise<boolean> {
    if (!(await this.isMine(number))) return false;
    const now = new Date();
    await utimes(this.#path(number), now, now);
    return true;
  }

  async release(number: number): Promise<void> {
    if (await this.isMine(number)) await writeFile(this.#path(number), RELEASED);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Another user's process is alive all the same.
    return hasCode(error, 'EPERM');
  }
}

function hold(lock: Lock, number: number, staleMs: number): HeldLease {
  const lost = new AbortController();
  let heldUntilMs = Date.now() + staleMs;
  const renewing = setInterval(() => {
    const renewedAt = Date.now();
    lock.renew(number).then(
      (renewed) => {
        if (renewed) heldUntilMs = renewedAt + staleMs;
        else lost.abort();
      },
      () => {
        if (Date.now() >= heldUntilMs) lost.abort();
      },
    );
  }, staleMs / 4);
  renewing.unref();
  return {
    signal: lost.signal,
    get heldUntilMs() {
      return heldUntilMs;
    },
    release: async () => {
      clearInterval(renewing);
      if (!lost.signal.aborted) await lock.release(number);
    },
  };
}

/**
 * Leases by lock files, for processes of one machine. A holder that was killed has lost its lease at once; one that hangs, when
 * it has not renewed it for a while.
 * @param folder made where it isn't there; only files of leases may be in it.
 */
export function createLockFileLease(folder: string, options: LockFileOptions = {}): Lease {
  const staleMs = options.staleMs ?? STALE_MS;
  return {
    acquire: async (name, { waitMs = 0, signal } = {}) => {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const lock = new Lock(folder, name, staleMs);
      const untilMs = Date.now() + waitMs;
      for (;;) {
        signal?.throwIfAborted();
        const number = await lock.take();
        if (number !== undefined) return hold(lock, number, staleMs);
        if (Date.now() >= untilMs) return undefined;
        // Not all at the same time, again and again.
        await pause(LOOK_MS * (0.5 + Math.random()), undefined, signal && { signal });
      }
    },
  };
}
