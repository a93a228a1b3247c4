import type { Budget } from './budget.js';
import { FOLDER_BYTES } from './layers/overlay.js';

interface Place {
  /** The path, if something was found here. */
  path?: string;
  below?: Map<string, Place>;
}

/**
 * Findings in the files of one layer, by path. It is a tree of folders, so that replacing a folder drops everything
 * below it without a search through all paths.
 */
export class FoundFiles<T> {
  readonly #budget: Budget;
  readonly #byPath = new Map<string, T>();
  #root: Place = {};
  #taken = 0;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  get(path: string): T | undefined {
    return this.#byPath.get(path);
  }

  /** In insertion order. */
  entries(): Iterable<[string, T]> {
    return this.#byPath;
  }

  /** @throws InputError `SBOM_LIMIT` */
  set(path: string, value: T): void {
    this.#byPath.set(path, value);
    let place = this.#root;
    for (const name of path.split('/')) {
      place.below ??= new Map();
      let next = place.below.get(name);
      if (next === undefined) {
        next = {};
        place.below.set(name, next);
        this.#budget.take('rememberedBytes', FOLDER_BYTES);
        this.#taken += FOLDER_BYTES;
      }
      place = next;
    }
    place.path = path;
  }

  /** Removes the path and everything below it. */
  drop(path: string): void {
    if (this.#byPath.size === 0) return;
    const names = path.split('/');
    const last = names.pop() ?? '';
    let folder: Place | undefined = this.#root;
    for (const name of names) {
      folder = folder.below?.get(name);
      if (folder === undefined) return;
    }
    const dropped = folder.below?.get(last);
    if (dropped === undefined) return;
    folder.below?.delete(last);
    for (const open = [dropped]; open.length > 0;) {
      const place = open.pop();
      if (place?.path !== undefined) this.#byPath.delete(place.path);
      for (const next of place?.below?.values() ?? []) open.push(next);
    }
  }

  /** Releases the counted memory. */
  release(): void {
    this.#budget.giveBack('rememberedBytes', this.#taken);
    this.#taken = 0;
    this.#byPath.clear();
    this.#root = {};
  }
}
