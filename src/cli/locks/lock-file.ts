import { open, readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { isRecord } from '../../oci/index.js';
import { parseHolder, stateOf, thisHolder } from './lock-holder.js';

export const LOCK_LIMITS = {
  /** Milliseconds after which a holder that does not renew has lost its lock. Option `staleMs` */
  staleMs: 20_000,
  /** Milliseconds between two looks at a lock that another holds, more or less. */
  lookMs: 40,
  /** Looks at a higher number than one's own before the lock counts as lost: who came too late takes its number back. */
  looks: 10,
  /** Milliseconds for which a lock that nobody wants any more stays in the folder. */
  keepMs: 60 * 60 * 1000,
  /** Files that one sweep of the folder looks at. */
  sweptFiles: 1000,
} as const;

const RELEASED = 'released';
const NAME = /^([0-9a-f]{40})\.(\d{1,15})$/;

function hasCode(error: unknown, code: string): boolean {
  return isRecord(error) && error.code === code;
}

interface LockFileState {
  /** Nobody holds it: it was released, its process has ended, or it was not renewed for too long. */
  free: boolean;
  modifiedMs: number;
}

async function readState(path: string, staleMs: number): Promise<LockFileState | undefined> {
  try {
    const [text, { mtimeMs }] = await Promise.all([readFile(path, 'utf8'), stat(path)]);
    const holder = text === RELEASED ? undefined : parseHolder(text);
    const stale = Date.now() - mtimeMs > staleMs;
    const free = text === RELEASED || stale || (holder !== undefined && (await stateOf(holder)) === 'ended');
    return { free, modifiedMs: mtimeMs };
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/**
 * A lock among processes of one machine. Its files are numbered, and the highest number holds it; a new number is only made
 * where all that stand are free, and kept only where they still are. A file is taken away after a higher one was made, or when
 * nobody has wanted the lock for long; and since the first number is the clock's, no number comes twice: whoever takes a file
 * away by its name takes the one that it looked at.
 */
export class LockFile {
  readonly #folder: string;
  readonly #key: string;
  readonly #staleMs: number;
  #nonce: string | undefined;

  /** @param key 40 hexadecimal digits. */
  constructor(folder: string, key: string, staleMs: number) {
    this.#folder = folder;
    this.#key = key;
    this.#staleMs = staleMs;
  }

  async #numbers(): Promise<number[]> {
    const numbers = (await readdir(this.#folder)).flatMap((name) => {
      const [, key, number] = NAME.exec(name) ?? [];
      return key === this.#key ? [Number(number)] : [];
    });
    return numbers.sort((a, b) => a - b);
  }

  #path(number: number): string {
    return join(this.#folder, `${this.#key}.${number}`);
  }

  async #areFree(numbers: readonly number[]): Promise<boolean> {
    const states = await Promise.all(numbers.map((number) => readState(this.#path(number), this.#staleMs)));
    return states.every((state) => state === undefined || state.free);
  }

  /** @returns the number that was taken, or undefined where another holds the lock, or wants it at the same time. */
  async take(): Promise<number | undefined> {
    const numbers = await this.#numbers();
    if (!(await this.#areFree(numbers))) return undefined;
    const mine = (numbers.at(-1) ?? Date.now()) + 1;
    const holder = await thisHolder();
    try {
      const file = await open(this.#path(mine), 'wx', 0o600);
      try {
        // Empty until then, it counts as held.
        await file.writeFile(JSON.stringify(holder));
      } finally {
        await file.close();
      }
    } catch (error) {
      if (hasCode(error, 'EEXIST')) return undefined;
      throw error;
    }
    const now = await this.#numbers();
    const others = now.filter((number) => number !== mine);
    if (now.at(-1) !== mine || !(await this.#areFree(others))) {
      // We were slow, and others have gone past what we saw.
      await rm(this.#path(mine), { force: true });
      return undefined;
    }
    await Promise.all(others.map((number) => rm(this.#path(number), { force: true })));
    this.#nonce = holder.nonce;
    return mine;
  }

  /** Who saw an empty folder while files came and went may make a higher number, finds the lock held, and takes it back. */
  async #isMine(number: number): Promise<boolean> {
    for (let looks = 1; ; looks += 1) {
      const numbers = await this.#numbers();
      if (numbers.at(-1) === number) return true;
      if (!numbers.includes(number) || looks === LOCK_LIMITS.looks) return false;
      await pause(LOCK_LIMITS.lookMs);
    }
  }

  /** @returns false where it has been lost. */
  async renew(number: number): Promise<boolean> {
    if (!(await this.#isMine(number))) return false;
    const now = new Date();
    try {
      await utimes(this.#path(number), now, now);
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return false;
      throw error;
    }
    return true;
  }

  async release(number: number): Promise<void> {
    try {
      // Never made anew: it may have been taken away meanwhile, and another have come and gone under its number. Whether there
      // is a higher number doesn't matter: its owner may be about to take that back.
      const file = await open(this.#path(number), 'r+');
      try {
        if (parseHolder(await file.readFile('utf8'))?.nonce !== this.#nonce) return;
        await file.truncate(0);
        await file.write(RELEASED, 0);
      } finally {
        await file.close();
      }
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
    }
  }
}

/** Takes away files of locks that nobody has wanted for long, so that the folder doesn't grow for ever. Never waits for one. */
export async function sweepLocks(folder: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => NAME.test(name)).slice(0, LOCK_LIMITS.sweptFiles);
  for (const name of names) {
    const path = join(folder, name);
    const state = await readState(path, LOCK_LIMITS.keepMs);
    if (state?.free === true && Date.now() - state.modifiedMs > LOCK_LIMITS.keepMs) await rm(path, { force: true });
  }
}
