import type { Stats } from 'node:fs';
import { chmod, lstat, realpath, stat, utimes } from 'node:fs/promises';
import { dirname } from 'node:path';
import { InputError, makeFolder, mapConcurrently } from '../oci/index.js';
import { FILES_AT_ONCE } from './at-once.js';
import type { Claim } from './path-claims.js';
import { fileErrorCode, isWithin } from './file-system.js';

export interface PlaceOptions {
  root: string;
  allowOutside?: boolean;
  keepOldFiles?: boolean;
}

type Claims = readonly (readonly [path: string, claim: Claim])[];

async function lookAt(path: string, look: (path: string) => Promise<Stats>): Promise<Stats | undefined> {
  try {
    return await look(path);
  } catch (error) {
    const code = fileErrorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}

function blocked({ name }: Claim, why: string): InputError {
  return new InputError('PATH_BLOCKED', `${name} cannot be written: ${why}`, {
    remedy: 'Pull to another folder, or move the existing file away.',
  });
}

function standsThere(path: string): InputError {
  return new InputError('FILE_EXISTS', `${path} exists: overwrite disallowed`, {
    remedy: 'Pull to another folder, or without --keep-old-files.',
  });
}

/** Refuses a file whose path exists, before it is downloaded. @throws InputError `FILE_EXISTS` */
export async function checkVacant(path: string): Promise<void> {
  if ((await lookAt(path, lstat)) !== undefined) throw standsThere(path);
}

/** True if a folder exists. @throws InputError `PATH_BLOCKED`, `PATH_OUTSIDE` */
async function isFolder(path: string, claim: Claim, realRoot: string, options: PlaceOptions): Promise<boolean> {
  const here = await lookAt(path, lstat);
  if (here === undefined || here.isDirectory()) return here !== undefined;
  if (!here.isSymbolicLink()) throw blocked(claim, `${path} is no folder`);
  if ((await lookAt(path, stat))?.isDirectory() !== true) throw blocked(claim, `${path} is a link to no folder`);
  const { root, allowOutside } = options;
  if (allowOutside === true || !isWithin(root, path) || isWithin(realRoot, await realpath(path))) return true;
  throw new InputError('PATH_OUTSIDE', `${claim.name} is outside of ${root}: ${path} is a link`, {
    remedy: 'Remove the link, or pull to another folder.',
  });
}

/**
 * Checks every target path before the first change. A path is refused if a file there may not be replaced, if something
 * of another kind is there, or if a link leads out of the folder.
 * @returns the folders to make, each after its parent, and the permissions of the files that are replaced
 * @throws InputError `FILE_EXISTS`, `PATH_BLOCKED`, `PATH_OUTSIDE`
 */
export async function checkPlaces(
  claims: Claims,
  options: PlaceOptions,
): Promise<{ missing: ReadonlySet<string>; bits: ReadonlyMap<string, number> }> {
  const { root, keepOldFiles } = options;
  const realRoot = await realpath(root);
  // Each folder is checked once. The missing ones, each after its parent.
  const [there, missing] = [new Set([root]), new Set<string>()];
  const isThere = async (path: string, claim: Claim): Promise<boolean> => {
    if (there.has(path)) return true;
    if (missing.has(path)) return false;
    const above = dirname(path);
    const found = above === path || ((await isThere(above, claim)) && (await isFolder(path, claim, realRoot, options)));
    (found ? there : missing).add(path);
    return found;
  };
  const refuseOld = (path: string): void => {
    if (keepOldFiles === true && path !== root) throw standsThere(path);
  };
  const perhapsThere: (readonly [path: string, claim: Claim])[] = [];
  for (const [path, claim] of claims) {
    const isAboveThere = await isThere(dirname(path), claim);
    if (claim.kind !== 'folder') {
      if (isAboveThere) perhapsThere.push([path, claim]);
    } else if (await isThere(path, claim)) refuseOld(path);
  }
  const bits = new Map<string, number>();
  await mapConcurrently(perhapsThere, FILES_AT_ONCE, async ([path, claim]) => {
    const here = await lookAt(path, lstat);
    if (here === undefined) return;
    if (here.isDirectory()) throw blocked(claim, `${path} is a folder`);
    // Otherwise root would replace /dev/null with a file.
    if (here.isCharacterDevice() || here.isBlockDevice()) throw blocked(claim, `${path} is a device`);
    refuseOld(path);
    if (here.isFile()) bits.set(path, here.mode & 0o777);
  });
  return { missing, bits };
}

/**
 * Makes folders that this process can write to until {@link settleFolders}. @returns the claimed ones, with their
 * permissions
 */
export async function makeFolders(
  missing: ReadonlySet<string>,
  claims: ReadonlyMap<string, Claim>,
): Promise<Map<Claim, { path: string; bits: number }>> {
  const made = new Map<Claim, { path: string; bits: number }>();
  for (const path of missing) {
    const claim = claims.get(path);
    const mode = ((claim?.attributes.mode ?? 0o777) & 0o777) | 0o700;
    const isNew = (await makeFolder(path, mode)) !== undefined;
    if (isNew && claim) made.set(claim, { path, bits: (await lstat(path)).mode & 0o777 });
  }
  return made;
}

/** Sets the permissions and times of the folders that were made, the innermost first. */
export async function settleFolders(made: ReadonlyMap<Claim, { path: string; bits: number }>): Promise<void> {
  for (const [{ attributes }, { path, bits }] of [...made].toReversed()) {
    const { mode, modified } = attributes;
    if (modified && !Number.isNaN(modified.getTime())) await utimes(path, modified, modified);
    if (mode !== undefined && (bits & mode) !== bits) await chmod(path, bits & mode);
  }
}
