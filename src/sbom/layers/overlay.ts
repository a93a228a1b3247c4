import type { SbomLimits } from '../limits.js';
import { overLimit } from '../sbom-errors.js';
import { baseOf, parentOf } from './path.js';

/** About what a name costs in memory beside its path, and a folder beside its names; in bytes. */
const NAME_BYTES = 64;
export const FOLDER_BYTES = 256;

/** Counts the memory that paths take, so that an image with endless paths ends as `SBOM_LIMIT`, not as a dead process. */
export class PathMemory {
  readonly #limit: number;
  #bytes: number;

  constructor({ rememberedBytes }: Pick<SbomLimits, 'rememberedBytes'>, bytes = 0) {
    this.#limit = rememberedBytes;
    this.#bytes = bytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @throws InputError `SBOM_LIMIT` */
  take(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > this.#limit) {
      throw overLimit('rememberedBytes', 'the paths of its layers take more memory', this.#limit);
    }
  }

  giveBack(bytes: number): void {
    this.#bytes -= bytes;
  }
}

/** Of what layers hide, as a tree. */
export interface Folder {
  /** First layer that hides it and all below it. */
  hidden: number;
  /** First layer that hides what is in it. */
  opaque: number;
  /** By name: a folder, or of what has nothing below, the first layer that hides it. */
  names: Map<string, Folder | number>;
}

/**
 * What layers hide of the ones below them: layers are read from the top down, and a file counts only if no layer above puts
 * something in its place, removes it, or makes a folder on its way opaque. Layers count up from the top, which is 0.
 *
 * A tree of folders: a path costs its length, however deep it is. By whole paths, each of the thousands of folders above a file
 * would be looked up by a text of thousands of characters.
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#whiteouts
 */
export class Overlay {
  readonly #memory: PathMemory;
  /** For whoever keeps it, and gives it back to another. */
  readonly root: Folder;

  /** @param root of another, whose memory is counted */
  constructor(memory: PathMemory, root: Folder = newFolder()) {
    this.#memory = memory;
    this.root = root;
  }

  /** True if a layer above `layer` hides the path. */
  isHidden(path: string, layer: number): boolean {
    let folder = this.root;
    for (const name of path.split('/')) {
      if (folder.opaque < layer) return true;
      const found = folder.names.get(name);
      if (found === undefined) return false;
      if (typeof found === 'number') return found < layer;
      if (found.hidden < layer) return true;
      folder = found;
    }
    return false;
  }

  /** `layer` removes the path, or has something there that is no folder. */
  hide(path: string, layer: number): void {
    const { names } = this.#folder(parentOf(path));
    const name = baseOf(path);
    const found = names.get(name);
    if (found === undefined) {
      names.set(name, layer);
      // The name is a piece of the path, and keeps all of it in memory.
      this.#memory.take(NAME_BYTES + path.length);
    } else if (typeof found !== 'number') found.hidden = Math.min(found.hidden, layer);
  }

  /** `layer` starts the folder anew: what lower layers have in it is gone. */
  hideChildren(path: string, layer: number): void {
    const folder = this.#folder(path);
    folder.opaque = Math.min(folder.opaque, layer);
  }

  /** The folder at a path, made if it is not there yet. */
  #folder(path: string): Folder {
    let folder = this.root;
    if (path === '') return folder;
    for (const name of path.split('/')) {
      let found = folder.names.get(name);
      if (found === undefined || typeof found === 'number') {
        if (found === undefined) this.#memory.take(NAME_BYTES + path.length);
        this.#memory.take(FOLDER_BYTES);
        found = newFolder(found);
        folder.names.set(name, found);
      }
      folder = found;
    }
    return folder;
  }
}

function newFolder(hidden = Infinity): Folder {
  return { hidden, opaque: Infinity, names: new Map() };
}

export type Whiteout = { kind: 'file'; path: string } | { kind: 'opaque'; folder: string } | { kind: 'ignored' };

/** What a name that begins with `.wh.` means; undefined for any other. */
export function whiteoutOf(path: string): Whiteout | undefined {
  const name = baseOf(path);
  if (!name.startsWith('.wh.')) return undefined;
  const folder = parentOf(path);
  if (name === '.wh..wh..opq') return { kind: 'opaque', folder };
  // Private marks of aufs; and names that no file can have.
  const hidden = name.slice('.wh.'.length);
  if (hidden.startsWith('.wh.') || hidden === '' || hidden === '.' || hidden === '..') return { kind: 'ignored' };
  return { kind: 'file', path: folder === '' ? hidden : `${folder}/${hidden}` };
}
