import { open, readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { isRecord } from '../../oci/index.js';
import { parseHolder, stateOf, thisHolder } from './lock-holder.js';

export const LOCK_LIMITS = {
  /** Milliseconds after which a holder that does not renew has lost its lock. Option `staleMs` */
  staleMs: 20_000,
  /** The pause between two checks of a held lock in milliseconds, before jitter. */
  lookMs: 40,
  /**
   * If this many checks in a row find a higher number, the lock counts as lost. A process that was too late removes its
   * number again.
   */
  looks: 10,
  /** Milliseconds that an unused lock stays in the folder. */
  keepMs: 60 * 60 * 1000,
  /** Maximum files that one sweep of the folder reads. */
  sweptFiles: 1000,
} as const;

const RELEASED = 'released';
const NAME = /^([0-9a-f]{40})\.(\d{1,15})$/;

function hasCode(error: unknown, code: string): boolean {
  return isRecord(error) && error.code === code;
}

interface LockFileState {
  /** True if it was released, its process has ended, or it was not renewed in time. */
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
 * A lock among processes of one machine. Its files are numbered; the highest number holds it. A new number is made only
 * if all existing ones are free, and kept only if they still are. A file is removed after a higher one was made, or if
 * the lock was unused for long. The first number is the time, so no number repeats: a process that removes a file by its
 * name removes the one that it has read.
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

  /** @returns the number that was taken, or undefined if another process holds the lock or takes it at the same time */
  async take(): Promise<number | undefined> {
    const numbers = await this.#numbers();
    if (!(await this.#areFree(numbers))) return undefined;
    const mine = (numbers.at(-1) ?? Date.now()) + 1;
    const holder = await thisHolder();
    try {
      const file = await open(this.#path(mine), 'wx', 0o600);
      try {
        // An empty file counts as held.
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
      // Other processes were faster, and have a higher number.
      await rm(this.#path(mine), { force: true });
      return undefined;
    }
    await Promise.all(others.map((number) => rm(this.#path(number), { force: true })));
    this.#nonce = holder.nonce;
    return mine;
  }

  /** A process that saw the folder empty between two files may make a higher number. It finds the lock held, and removes its file. */
  async #isMine(number: number): Promise<boolean> {
    for (let looks = 1; ; looks += 1) {
      const numbers = await this.#numbers();
      if (numbers.at(-1) === number) return true;
      if (!numbers.includes(number) || looks === LOCK_LIMITS.looks) return false;
      await pause(LOCK_LIMITS.lookMs);
    }
  }

  /** @returns false if it is lost */
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
      // The file is never made again: it may have been removed, and the lock taken by another process since. A higher
      // number does not matter: its owner may be about to remove it.
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

/** Removes files of locks that were unused for long, so that the folder does not grow. It never waits for a lock. */
export async function sweepLocks(folder: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => NAME.test(name)).slice(0, LOCK_LIMITS.sweptFiles);
  for (const name of names) {
    const path = join(folder, name);
    const state = await readState(path, LOCK_LIMITS.keepMs);
    if (state?.free === true && Date.now() - state.modifiedMs > LOCK_LIMITS.keepMs) await rm(path, { force: true });
  }
}
