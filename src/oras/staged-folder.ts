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
  locate(name: string): string;
}

const NEW_FILE_MODE = 0o666;
/** Set-user, set-group and sticky bits of an archive are dropped. */
const PERMISSIONS = 0o777;

/**
 * Files and links have numbers as names in the stage, so that their own names have no effect there. Folders are made at the end. Claims
 * record which entry goes to which path.
 */
export class StagedFolder implements StagedFiles {
  readonly #options: StageOptions;
  readonly #claims = new Claims();
  readonly #cleanUp: () => Promise<void>;
  #count = 0;

  constructor(options: StageOptions, cleanUp: () => Promise<void>) {
    this.#options = options;
    this.#cleanUp = cleanUp;
  }

  #claim(name: string, kind: Claim['kind'], attributes: FileAttributes): Claim & { staged: string } {
    const staged = join(this.#options.stage, String(this.#count));
    this.#count += 1;
    const claim = { kind, name, staged, attributes };
    this.#claims.add(this.#options.locate(name), claim);
    return claim;
  }

  async file(name: string, content: AsyncIterable<Uint8Array>, attributes: FileAttributes = {}): Promise<void> {
    const claim = this.#claim(name, 'file', attributes);
    const { staged } = claim;
    if (this.#options.keepOldFiles === true) await checkVacant(this.#options.locate(name));
    const handle = await open(staged, 'wx', (attributes.mode ?? NEW_FILE_MODE) & PERMISSIONS);
    try {
      for await (const chunk of content) await handle.writeFile(chunk);
      if (isTime(attributes.modified)) await handle.utimes(attributes.modified, attributes.modified);
    } finally {
      await handle.close();
    }
    claim.isWhole = true;
  }

  folder(name: string, attributes: FileAttributes = {}): Promise<void> {
    this.#claim(name, 'folder', attributes);
    return Promise.resolve();
  }

  async link(name: string, target: string, attributes: FileAttributes = {}): Promise<void> {
    const { staged } = this.#claim(name, 'link', attributes);
    await symlink(target, staged);
    if (isTime(attributes.modified)) await lutimes(staged, attributes.modified, attributes.modified);
  }

  async copy(name: string, from: string, attributes: FileAttributes = {}): Promise<void> {
    const original = this.#claims.wholeAt(this.#options.locate(from));
    if (original === undefined)
      throw new InputError('FILE_NOT_FOUND', `${from} was not pulled, so it cannot be copied`);
    const claim = this.#claim(name, 'file', attributes);
    await copyFile(original.staged, claim.staged);
    if (isTime(attributes.modified)) await utimes(claim.staged, attributes.modified, attributes.modified);
    claim.isWhole = true;
  }

  async commit(): Promise<void> {
    await mapConcurrently(this.#claims.twins(), FILES_AT_ONCE, async ([one, other]) => {
      if (!(await isSame(one, other))) throw duplicate(other);
    });
    const claims = this.#claims.parentsFirst();
    const { missing, bits } = await checkPlaces(claims, this.#options);
    const made = await makeFolders(missing, new Map(claims));
    const content = claims.filter(([, { kind }]) => kind !== 'folder');
    await mapConcurrently(content, FILES_AT_ONCE, async ([path, { kind, staged }]) => {
      // A file gets no more permissions than the file that it replaces.
      const kept = kind === 'file' ? bits.get(path) : undefined;
      if (kept !== undefined) await chmod(staged, kept);
      await move(staged, path);
    });
    await settleFolders(made);
    await this.#cleanUp();
  }

  discard(): Promise<void> {
    return this.#cleanUp();
  }
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
