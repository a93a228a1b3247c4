import { mkdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { isRecord } from './descriptor.js';

function isCode(error: unknown, code: string): boolean {
  return isRecord(error) && error.code === code;
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (isCode(error, 'ENOENT')) return false;
    throw error;
  }
}

/**
 * Makes a folder and those above it. Node's own `recursive` never ends where a file system takes nothing new and says `ENOENT`
 * to it, as /proc does. Throws what the file system says (`EACCES`, `ENOTDIR`, …).
 * @param mode of each that is made; by default 0o777, less the umask
 * @returns the first that had to be made; undefined: it was there
 */
export async function makeFolder(path: string, mode?: number): Promise<string | undefined> {
  const missing: string[] = [];
  for (let at = resolve(path); !(await isFolder(at)) && at !== dirname(at); at = dirname(at)) missing.unshift(at);
  for (const folder of missing) {
    try {
      await mkdir(folder, mode === undefined ? {} : { mode });
    } catch (error) {
      // Somebody else may have made it meanwhile; a file in its place is an error.
      if (!isCode(error, 'EEXIST') || !(await isFolder(folder))) throw error;
    }
  }
  return missing[0];
}
