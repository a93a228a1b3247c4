import { lstat, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { parseHolder, stateOf, thisHolder } from './lock-holder.js';

/** The file beside the files of a pull that names its process. */
const OWNER = 'owner';
/** Maximum bytes of the owner file. It normally has a few hundred. */
const OWNER_BYTES = 4096;

async function hasEnded(stage: string): Promise<boolean> {
  const path = join(stage, OWNER);
  if ((await lstat(path)).size > OWNER_BYTES) return false;
  const holder = parseHolder(await readFile(path, 'utf8'));
  return holder !== undefined && (await stateOf(holder)) === 'ended';
}

/**
 * Marks the files of a pull as this process's, and removes those of processes that have ended. Files of other machines,
 * or without a process, stay.
 */
export async function claimStage(stage: string): Promise<void> {
  await writeFile(join(stage, OWNER), JSON.stringify(await thisHolder()));
  const folder = dirname(stage);
  for (const name of await readdir(folder)) {
    if (!/^\.pull-\w{6}$/.test(name) || name === basename(stage)) continue;
    const other = join(folder, name);
    // Unreadable or vanished content is ignored.
    if (await hasEnded(other).catch(() => false)) await rm(other, { recursive: true, force: true }).catch(() => {});
  }
}
