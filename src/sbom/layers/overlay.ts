import type { Budget } from '../budget.js';
import { baseOf, parentOf } from './path.js';

/** Approximate bytes of memory for a name (besides its path) and for a folder (besides its names). */
const NAME_BYTES = 64;
export const FOLDER_BYTES = 256;

/** A folder in the tree of hidden paths. */
export interface Folder {
  /** Topmost layer that hides this folder and everything below it. */
  hidden: number;
  /** Topmost layer that hides the content of this folder. */
  opaque: number;
  /** For each name: its folder, or, if nothing below it is hidden, the topmost layer that hides the name. */
  names: Map<string, Folder | number>;
}

/**
 * The paths that layers hide in the layers below. Layers are read from the top down and numbered from 0. A file counts
 * only if no layer above replaces it, removes it, or makes one of its folders opaque.
 * It is a tree of folders, so that a lookup takes time proportional to the path. With a map of whole paths, each parent
 * folder would need its own lookup by a long key.
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#whiteouts
 */
export class Overlay {
  readonly #budget: Budget;
  /** The tree, which can be stored and passed to another overlay. */
  readonly root: Folder;

  /** @param root the tree of another overlay; its memory is already counted */
  constructor(budget: Budget, root: Folder = newFolder()) {
    this.#budget = budget;
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

  /** Records that `layer` removes the path, or has something else than a folder there. */
  hide(path: string, layer: number): void {
    const { names } = this.#folder(parentOf(path));
    const name = baseOf(path);
    const found = names.get(name);
    if (found === undefined) {
      names.set(name, layer);
      // The name is a slice of the path, so it keeps the whole path in memory.
      this.#budget.take('rememberedBytes', NAME_BYTES + path.length);
    } else if (typeof found !== 'number') found.hidden = Math.min(found.hidden, layer);
  }

  /** Records that `layer` makes the folder opaque: the content from lower layers is hidden. */
  hideChildren(path: string, layer: number): void {
    const folder = this.#folder(path);
    folder.opaque = Math.min(folder.opaque, layer);
  }

  /** The folder at a path. It is created if missing. */
  #folder(path: string): Folder {
    let folder = this.root;
    if (path === '') return folder;
    for (const name of path.split('/')) {
      let found = folder.names.get(name);
      if (found === undefined || typeof found === 'number') {
        if (found === undefined) this.#budget.take('rememberedBytes', NAME_BYTES + path.length);
        this.#budget.take('rememberedBytes', FOLDER_BYTES);
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

/** A whiteout of a file, of a folder's content, or a name without meaning. */
export type Whiteout = { kind: 'file'; path: string } | { kind: 'opaque'; folder: string } | { kind: 'ignored' };

/** The meaning of a name that starts with `.wh.`; undefined for any other name. */
export function whiteoutOf(path: string): Whiteout | undefined {
  const name = baseOf(path);
  if (!name.startsWith('.wh.')) return undefined;
  const folder = parentOf(path);
  if (name === '.wh..wh..opq') return { kind: 'opaque', folder };
  // Private markers of aufs, and names that no file can have.
  const hidden = name.slice('.wh.'.length);
  if (hidden.startsWith('.wh.') || hidden === '' || hidden === '.' || hidden === '..') return { kind: 'ignored' };
  return { kind: 'file', path: folder === '' ? hidden : `${folder}/${hidden}` };
}
