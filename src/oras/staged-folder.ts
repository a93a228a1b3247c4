import { createReadStream } from 'node:fs';
import { chmod, copyFile, lutimes, open, readlink, rename, rm, stat, symlink, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { createDigester, InputError, type Digest, mapConcurrently } from '../oci/index.js';
import { FILES_AT_ONCE } from './at-once.js';
import { Claims, duplicate, type Claim } from './path-claims.js';
import { checkPlaces, checkVacant, settleFolders, makeFolders, type PlaceOptions } from './commit-files.js';
import { fileErrorCode } from './file-system.js';
import type { FileAttributes, StagedFiles } from './file-sink.js';

export interface StageOptions extends PlaceOptions {
  /** A folder for this pull alone. */
  stage: string;
  locate: (name: string) => string;
}

const NEW_FILE_MODE = 0o666;
/** Set-user, set-group and sticky bits of an archive are dropped. */
const PERMISSIONS = 0o777;

/**
 * Files and links have numbers as names in the stage, so that their own names have no effect there. Folders are made at the end. Claims
 * record which entry goes to which path.
 */
export function stageFolder(options: StageOptions, cleanUp: () => Promise<void>): StagedFiles {
  const { stage, locate, keepOldFiles = false } = options;
  const claims = new Claims();
  let count = 0;

  const claimPath = (name: string, kind: Claim['kind'], attributes: FileAttributes): Claim => {
    const claim = { kind, name, staged: join(stage, String(count)), attributes };
    count += 1;
    claims.add(locate(name), claim);
    return claim;
  };

  return {
    async file(name, content, attributes = {}) {
      const claim = claimPath(name, 'file', attributes);
      if (keepOldFiles) await checkVacant(locate(name));
      const handle = await open(claim.staged, 'wx', (attributes.mode ?? NEW_FILE_MODE) & PERMISSIONS);
      try {
        for await (const chunk of content) await handle.writeFile(chunk);
        if (isTime(attributes.modified)) await handle.utimes(attributes.modified, attributes.modified);
      } finally {
        await handle.close();
      }
      claim.isWhole = true;
    },

    async folder(name, attributes = {}) {
      claimPath(name, 'folder', attributes);
    },

    async link(name, target, attributes = {}) {
      const { staged } = claimPath(name, 'link', attributes);
      await symlink(target, staged);
      if (isTime(attributes.modified)) await lutimes(staged, attributes.modified, attributes.modified);
    },

    async copy(name, from, attributes = {}) {
      const original = claims.wholeAt(locate(from));
      if (original === undefined)
        throw new InputError('FILE_NOT_FOUND', `${from} was not pulled, so it cannot be copied`);
      const claim = claimPath(name, 'file', attributes);
      await copyFile(original.staged, claim.staged);
      if (isTime(attributes.modified)) await utimes(claim.staged, attributes.modified, attributes.modified);
      claim.isWhole = true;
    },

    async commit() {
      await mapConcurrently(claims.twins(), FILES_AT_ONCE, async ([one, other]) => {
        if (!(await isSame(one, other))) throw duplicate(other);
      });
      const wanted = claims.parentsFirst();
      const { missing, bits } = await checkPlaces(wanted, options);
      const made = await makeFolders(missing, new Map(wanted));
      const content = wanted.filter(([, { kind }]) => kind !== 'folder');
      await mapConcurrently(content, FILES_AT_ONCE, async ([path, { kind, staged }]) => {
        // A file gets no more permissions than the file that it replaces.
        const kept = kind === 'file' ? bits.get(path) : undefined;
        if (kept !== undefined) await chmod(staged, kept);
        await move(staged, path);
      });
      await settleFolders(made);
      await cleanUp();
    },

    discard: cleanUp,
  };
}

function isTime(date: Date | undefined): date is Date {
  return date !== undefined && !Number.isNaN(date.getTime());
}

async function digestOfFile(path: string): Promise<Digest> {
  const digester = createDigester();
  for await (const chunk of createReadStream(path)) digester.update(chunk as Uint8Array);
  return digester.digest();
}

/** True if two claims for one path have the same content. */
async function isSame(one: Claim, other: Claim): Promise<boolean> {
  if (one.kind === 'link') return (await readlink(one.staged)) === (await readlink(other.staged));
  const { mode } = other.attributes;
  if (mode !== undefined && mode !== one.attributes.mode) return false;
  const [size, otherSize] = [(await stat(one.staged)).size, (await stat(other.staged)).size];
  return size === otherSize && (await digestOfFile(one.staged)) === (await digestOfFile(other.staged));
}

/** Atomic if both are on one file system. */
async function move(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (fileErrorCode(error) !== 'EXDEV') throw error;
    // Only for paths outside of the output folder: it is written beside its target first.
    const near = `${to}.pull-${process.pid}`;
    try {
      await copyFile(from, near);
      await rename(near, to);
    } finally {
      await rm(near, { force: true });
    }
  }
}
