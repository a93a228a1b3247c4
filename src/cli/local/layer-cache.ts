import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { isAbsolute, join } from 'node:path';
import type { SbomInput } from '../../sbom/index.js';

/** Maximum bytes of the folder. The layers that were used last stay. */
const MOST_BYTES = 512 * 1024 ** 2;
/** Another process may still write a file of this age. */
const WRITTEN_WITHIN_MS = 60 * 60_000;

type Layers = NonNullable<SbomInput['layers']>;

/**
 * Where the command line keeps what layers contribute to SBOMs: `acr-promoter/layers` in the user's cache folder.
 * Undefined if the environment names none.
 * @see https://specifications.freedesktop.org/basedir-spec/0.8/
 */
export function layerFolder(env: Readonly<Record<string, string | undefined>>): string | undefined {
  const { XDG_CACHE_HOME = '', HOME = '', LOCALAPPDATA = '' } = env;
  const cache = [XDG_CACHE_HOME, HOME && join(HOME, '.cache'), LOCALAPPDATA].find(isAbsolute);
  return cache === undefined ? undefined : join(cache, 'acr-promoter', 'layers');
}

/** Keeps layers in a folder. What cannot be kept is read again: a full disk is no error. */
export function folderLayers(folder: string): Layers {
  return {
    async read(key) {
      const path = join(folder, key);
      const bytes = await readFile(path).catch(() => undefined);
      if (bytes !== undefined) await utimes(path, new Date(), new Date()).catch(() => undefined);
      return bytes;
    },
    async write(key, bytes) {
      const written = join(folder, `${randomUUID()}.new`);
      try {
        await mkdir(folder, { recursive: true, mode: 0o700 });
        await writeFile(written, bytes, { mode: 0o600 });
        await rename(written, join(folder, key));
        await shrink(folder);
      } catch {
        await rm(written, { force: true }).catch(() => undefined);
      }
    },
  };
}

/** Removes the files that were used longest ago, and what a process that ended has left. */
async function shrink(folder: string, nowMs = Date.now()): Promise<void> {
  const files = await Promise.all(
    (await readdir(folder)).map(async (name) => {
      const found = await stat(join(folder, name)).catch(() => undefined);
      return { name, size: found?.size ?? 0, usedMs: found?.mtimeMs ?? 0 };
    }),
  );
  let bytes = 0;
  for (const { name, size, usedMs } of files.toSorted((one, other) => other.usedMs - one.usedMs)) {
    const isLeft = name.endsWith('.new');
    if (!isLeft) bytes += size;
    if (isLeft ? nowMs - usedMs > WRITTEN_WITHIN_MS : bytes > MOST_BYTES) await rm(join(folder, name), { force: true });
  }
}
