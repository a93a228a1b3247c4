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
 * Creates a folder and its missing parents. Node's `recursive` option loops for ever on a file system that refuses new
 * folders with `ENOENT`, such as /proc. Throws the file system's error (`EACCES`, `ENOTDIR`, …).
 * @param mode of each created folder; 0o777 minus the umask by default
 * @returns the topmost folder that was created, or undefined if the folder existed
 */
export async function makeFolder(path: string, mode?: number): Promise<string | undefined> {
  const missing: string[] = [];
  for (let at = resolve(path); !(await isFolder(at)) && at !== dirname(at); at = dirname(at)) missing.unshift(at);
  for (const folder of missing) {
    try {
      await mkdir(folder, mode === undefined ? {} : { mode });
    } catch (error) {
      // Another process may have created it meanwhile. A file in its place is an error.
      if (!isCode(error, 'EEXIST') || !(await isFolder(folder))) throw error;
    }
  }
  return missing[0];
}
