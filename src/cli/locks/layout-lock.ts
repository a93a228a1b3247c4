import { realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { HeldLease } from '../../oci/index.js';
import { createLocalLease } from '../connection/connection.js';
import type { Io } from '../io.js';

/** One name for each folder, whether it is there or is about to be made. */
async function realName(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    return dirname(path) === path ? path : join(await realName(dirname(path)), basename(path));
  }
}

/**
 * Keeps this user's other commands from writing to a layout. Each writes all of index.json, and passes over blobs that are
 * there, which a deletion could take away at that moment. One that is held is waited for, and said to be.
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
