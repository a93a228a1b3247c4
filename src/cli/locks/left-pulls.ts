import { lstat, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { parseHolder, stateOf, thisHolder } from './lock-holder.js';

/** Beside what a pull has staged, under a name that nothing staged has: whose it is. */
const OWNER = 'owner';
/** A file of ours has some hundred bytes. */
const OWNER_BYTES = 4096;

async function hasEnded(stage: string): Promise<boolean> {
  const path = join(stage, OWNER);
  if ((await lstat(path)).size > OWNER_BYTES) return false;
  const holder = parseHolder(await readFile(path, 'utf8'));
  return holder !== undefined && (await stateOf(holder)) === 'ended';
}

/**
 * Marks a pull's stage as this process's, and takes away those beside it whose process has ended without doing so. One of another
 * machine, or that says nothing of its process, stays.
 */
export async function claimStage(stage: string): Promise<void> {
  await writeFile(join(stage, OWNER), JSON.stringify(await thisHolder()));
  const folder = dirname(stage);
  for (const name of await readdir(folder)) {
    if (!/^\.pull-\w{6}$/.test(name) || name === basename(stage)) continue;
    const other = join(folder, name);
    // What can't be looked at, or goes meanwhile, is not ours to mend.
    if (await hasEnded(other).catch(() => false)) await rm(other, { recursive: true, force: true }).catch(() => {});
  }
}
