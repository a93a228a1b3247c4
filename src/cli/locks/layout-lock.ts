import { realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { HeldLease } from '../../oci/index.js';
import { createLocalLease } from '../connection/connection.js';
import type { Io } from '../io.js';

/** One name for each folder, whether or not it exists. */
async function realName(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    return dirname(path) === path ? path : join(await realName(dirname(path)), basename(path));
  }
}

/**
 * Locks a layout against other commands of this user. Commands rewrite index.json, and skip existing blobs, which a
 * deletion could remove at the same time. If the lock is held, the command reports that and waits.
 * @throws ConfigurationError `LOCK_FOLDER_UNUSABLE`
 */
export async function lockLayout(path: string, io: Io): Promise<HeldLease> {
  const { signal } = io;
  const name = `layout ${await realName(resolve(path))}`;
  const lease = createLocalLease();
  let held = await lease.acquire(name, { signal });
  if (held === undefined) io.err(`Waiting for another command that writes to ${path}\n`);
  while (held === undefined) held = await lease.acquire(name, { waitMs: 60_000, signal });
  return held;
}
