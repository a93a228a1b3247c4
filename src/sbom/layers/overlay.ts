import type { SbomLimits } from '../limits.js';
import { overLimit } from './invalid.js';
import { baseOf, parentOf } from './path.js';

/**
 * What layers hide of the ones below them: layers are read from the top down, and a file counts only where no layer above puts
 * something in its place, removes it, or makes a folder on its way opaque. Layers count up from the top, which is 0.
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#whiteouts
 */
export class Overlay {
  readonly #limits: SbomLimits;
  /** Folder to name to the first layer that hides it and all below it. By folder, since names are short and many. */
  readonly #hidden = new Map<string, Map<string, number>>();
  readonly #opaque = new Map<string, number>();
  #chars = 0;

  constructor(limits: SbomLimits) {
    this.#limits = limits;
  }

  /** True where a layer above `layer` hides the path. */
  isHidden(path: string, layer: number): boolean {
    for (let at = path; at !== '';) {
      const parent = parentOf(at);
      const hidden = this.#hidden.get(parent)?.get(baseOf(at)) ?? Infinity;
      const opaque = this.#opaque.get(parent) ?? Infinity;
      if (Math.min(hidden, opaque) < layer) return true;
      at = parent;
    }
    return false;
  }

  /** `layer` removes the path, or has something there that is no folder. */
  hide(path: string, layer: number): void {
    const parent = parentOf(path);
    let names = this.#hidden.get(parent);
    if (names === undefined) {
      names = new Map();
      this.#hidden.set(parent, names);
      this.#remember(parent.length);
    }
    const name = baseOf(path);
    if (names.has(name)) return;
    names.set(name, layer);
    this.#remember(name.length);
  }

  /** `layer` starts the folder anew: what lower layers have in it is gone. */
  hideChildren(folder: string, layer: number): void {
    if (this.#opaque.has(folder)) return;
    this.#opaque.set(folder, layer);
    this.#remember(folder.length);
  }

  #remember(chars: number): void {
    this.#chars += chars;
    if (this.#chars > this.#limits.rememberedChars) {
      throw overLimit(`the paths of its layers have over ${this.#chars} characters`, this.#limits.rememberedChars);
    }
  }
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
