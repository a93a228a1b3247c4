import { mkdirSync, readdirSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';

const MEMORY = '/dev/shm';
const NAME = 'acr-promoter-tests-';
/** Containers often have 64 MiB there: too little for the images that tests make. */
const LEAST_BYTES = 2 * 1024 ** 3;

function isLiving(pid) {
  try {
    return process.kill(pid, 0);
  } catch ({ code }) {
    return code !== 'ESRCH';
  }
}

/**
 * Makes a folder in memory for the files of this process's tests, because the local registry waits for the disk at each write. It is
 * removed when the process ends; those of killed processes are removed here.
 * @returns undefined if there is no memory for it
 */
export function memoryFolder() {
  try {
    const { bavail, bsize } = statfsSync(MEMORY);
    if (bavail * bsize < LEAST_BYTES) return undefined;
    for (const name of readdirSync(MEMORY)) {
      if (!name.startsWith(NAME) || isLiving(Number(name.slice(NAME.length)))) continue;
      rmSync(join(MEMORY, name), { recursive: true, force: true });
    }
    const folder = join(MEMORY, `${NAME}${process.pid}`);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
    return folder;
  } catch {
    return undefined;
  }
}
