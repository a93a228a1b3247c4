import { readFile, readdir } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';

export interface SampleFile {
  /** Relative to the image's root, with `/`. */
  path: string;
  bytes: Uint8Array;
}

interface LockedPackage {
  version?: string;
  dev?: boolean;
  optional?: boolean;
  devOptional?: boolean;
  peer?: boolean;
  link?: boolean;
  os?: string[];
  dependencies?: object;
}

const PACKAGES = 16;
/** The most files of one package, so that starting is fast. */
const MOST_FILES = 40;
const MOST_BYTES = 256 * 1024;

/** The nearest folder above this module with a package-lock.json: the checkout. */
export async function findCheckout(from: string): Promise<string> {
  for (let folder = from; ; folder = dirname(folder)) {
    try {
      await readFile(join(folder, 'package-lock.json'));
      return folder;
    } catch (cause) {
      if (dirname(folder) === folder) throw new Error(`there is no package-lock.json above ${from}`, { cause });
    }
  }
}

/** Small production dependencies without dependencies of their own, from the lock file: the same on every machine. */
async function candidates(checkout: string): Promise<string[]> {
  const lock = JSON.parse(await readFile(join(checkout, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, LockedPackage>;
  };
  const keys = Object.keys(lock.packages);
  return keys
    .filter((key) => {
      const { dev, optional, devOptional, peer, link, os, dependencies } = lock.packages[key] ?? {};
      if (dev || optional || devOptional || peer || link || os || dependencies) return false;
      return /^node_modules\/(?:@[^/]+\/)?[^/]+$/.test(key) && !keys.some((other) => other.startsWith(`${key}/`));
    })
    .sort();
}

async function filesOf(checkout: string, key: string): Promise<SampleFile[] | undefined> {
  const folder = join(checkout, key);
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  if (paths.length > MOST_FILES) return undefined;
  const files: SampleFile[] = [];
  let size = 0;
  for (const path of paths) {
    const bytes = await readFile(path);
    size += bytes.length;
    if (size > MOST_BYTES) return undefined;
    files.push({ path: `app/${key}/${relative(folder, path).split(sep).join('/')}`, bytes });
  }
  return files;
}

/** A few packages as npm installed them in this checkout, each with all its files. */
export async function sampleNpmPackages(checkout: string): Promise<SampleFile[][]> {
  const chosen: SampleFile[][] = [];
  for (const key of await candidates(checkout)) {
    if (chosen.length === PACKAGES) break;
    const files = await filesOf(checkout, key);
    if (files !== undefined) chosen.push(files);
  }
  return chosen;
}
