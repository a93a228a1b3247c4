import type { Stats } from 'node:fs';
import { chmod, lstat, mkdir, realpath, stat, utimes } from 'node:fs/promises';
import { dirname } from 'node:path';
import { InputError } from '../oci/index.js';
import type { Claim } from './claims.js';
import { fileErrorCode } from './file-error.js';
import { isWithin } from './within.js';

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
    remedy: 'Pull to another folder, or move away what is there.',
  });
}

/**
 * Refuses what cannot be put in its place, before anything is: what is there and is to be kept, is of another kind, or leads out
 * of the folder through a link.
 * @throws InputError `FILE_EXISTS`, `PATH_BLOCKED`, `PATH_OUTSIDE`
 */
export async function checkPlaces(claims: Claims, options: PlaceOptions): Promise<void> {
  const realRoot = await realpath(options.root);
  const seen = new Set<string>([options.root]);
  const checkFolder = async (path: string, claim: Claim): Promise<void> => {
    if (seen.has(path) || path === dirname(path)) return;
    await checkFolder(dirname(path), claim);
    seen.add(path);
    const here = await lookAt(path, lstat);
    if (here === undefined || here.isDirectory()) return;
    if (here.isSymbolicLink()) {
      if ((await lookAt(path, stat))?.isDirectory() !== true) throw blocked(claim, `${path} is a link to no folder`);
      if (options.allowOutside === true || !isWithin(options.root, path) || isWithin(realRoot, await realpath(path)))
        return;
      throw new InputError('PATH_OUTSIDE', `${claim.name} leads out of ${options.root}: ${path} is a link`, {
        remedy: 'Remove the link, or pull to another folder.',
      });
    }
    throw blocked(claim, `${path} is no folder`);
  };
  for (const [path, claim] of claims) {
    await checkFolder(dirname(path), claim);
    const here = await lookAt(path, lstat);
    if (here === undefined) continue;
    if (options.keepOldFiles === true && path !== options.root) {
      throw new InputError('FILE_EXISTS', `${path} is there already: overwrite disallowed`, {
        remedy: 'Pull to another folder, or without --keep-old-files.',
      });
    }
    if (claim.kind === 'folder') await checkFolder(path, claim);
    else if (here.isDirectory()) throw blocked(claim, `${path} is a folder`);
  }
}

/** Makes all folders, open to us until {@link settleFolders}. @returns those that were not there, with the bits they came with */
export async function makeFolders(claims: Claims, root: string): Promise<Map<string, number>> {
  const made = new Map<string, number>();
  for (const [path, { kind, attributes }] of claims) {
    if (path === root) continue;
    await mkdir(dirname(path), { recursive: true });
    if (kind !== 'folder' || (await lookAt(path, stat))) continue;
    await mkdir(path, { mode: ((attributes.mode ?? 0o777) & 0o777) | 0o700 });
    made.set(path, (await lstat(path)).mode & 0o777);
  }
  return made;
}

/** Gives the folders that we made their own permissions and times, the innermost first. */
export async function settleFolders(claims: Claims, made: ReadonlyMap<string, number>): Promise<void> {
  for (const [path, { attributes }] of claims.toReversed()) {
    const bits = made.get(path);
    if (bits === undefined) continue;
    const { mode, modified } = attributes;
    if (modified && !Number.isNaN(modified.getTime())) await utimes(path, modified, modified);
    if (mode !== undefined && (bits & mode) !== bits) await chmod(path, bits & mode);
  }
}
