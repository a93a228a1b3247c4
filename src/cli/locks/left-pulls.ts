import { readdir, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { lockFile } from './lock-file.js';

/** The file beside the files of a pull that its process locks. A lock of another machine may not be visible here. */
const OWNER = `owner-${hostname()}`;
/** A process that has made the file locks it within this time, in milliseconds. */
const LOCKED_WITHIN_MS = 1_000;

async function removeIfEnded(stage: string): Promise<void> {
  const owner = join(stage, OWNER);
  if (Date.now() - (await stat(owner)).mtimeMs < LOCKED_WITHIN_MS) return;
  const release = await lockFile(owner);
  if (release === undefined) return;
  // Windows removes no file that is open.
  release();
  await rm(stage, { recursive: true, force: true });
}

/**
 * Marks the files of a pull as this process's, and removes those of processes that have ended. Files of other machines,
 * or without a process, stay.
 * @returns a function that ends the mark, before the files are removed
 */
export async function claimStage(stage: string): Promise<() => void> {
  // Not every file system has locks. What a killed pull leaves there stays.
  const release = await lockFile(join(stage, OWNER)).catch(() => undefined);
  const folder = dirname(stage);
  for (const name of await readdir(folder)) {
    if (!/^\.pull-\w{6}$/.test(name) || name === basename(stage)) continue;
    // Unreadable or vanished content is ignored.
    await removeIfEnded(join(folder, name)).catch(() => undefined);
  }
  return () => release?.();
}
