import type { LocatedPackage } from './catalogers/cataloger.js';
import { Folder, type FileTree } from './layers/file-tree.js';
import { cleanPath, parentOf } from './layers/path.js';

/** The files that belong to packages, at the places to which links lead: `/lib/x` is `usr/lib/x` in most images. */
export class OwnedFiles {
  readonly #tree: FileTree;
  readonly #files = new Set<number>();
  readonly #folders = new Set<Folder>();

  constructor(tree: FileTree) {
    this.#tree = tree;
  }

  add({ owns = [], path }: Pick<LocatedPackage, 'owns' | 'path'>): void {
    for (const owned of owns) {
      const isFolder = owned.endsWith('/');
      const found = this.#tree.find(owned.startsWith('/') ? owned : cleanPath(`${parentOf(path)}/${owned}`));
      if (isFolder && found?.node instanceof Folder) this.#folders.add(found.node);
      else if (typeof found?.node === 'number') this.#files.add(found.node);
    }
  }

  /** True if the file belongs to one of the packages. @param path clean, relative to the root */
  has(path: string): boolean {
    const found = this.#tree.find(path);
    if (found === undefined || typeof found.node !== 'number') return false;
    if (this.#files.has(found.node)) return true;
    for (let folder: Folder | undefined = found.folder; folder !== undefined; folder = folder.parent)
      if (this.#folders.has(folder)) return true;
    return false;
  }
}
