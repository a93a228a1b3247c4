import { readChanges, type Change } from './changes.js';
import { cleanPath } from './path.js';
import { Folder, SymbolicLink, type TreeNode } from './tree-nodes.js';

/** Approximate bytes of memory for a name (besides its characters) and for a folder (besides its names). */
const NAME_BYTES = 64;
const FOLDER_BYTES = 256;
/** Maximum symbolic links that Linux follows when it opens one file, and containerd when it unpacks one. */
const MOST_LINKS_READING = 40;
const MOST_LINKS_UNPACKING = 255;
/** Maximum characters of a path whose links are resolved, as Linux's PATH_MAX. */
const LONGEST_PATH = 4096;

/** The entry of a layer from which a file comes. */
export interface FilePlace {
  /** Position of the layer, from the lowest, which is 0. */
  layer: number;
  /** Position of the entry in the layer. */
  index: number;
}

/** Memory is reported at least as often. */
const REPORTED_BYTES = 256 * 1024;

/** Options of a {@link FileTree}. */
export interface FileTreeOptions {
  /** Called with the memory that new names take, at times for many of them. May throw. */
  onMemory: (bytes: number) => void;
  /** Called for each step of work that does not add names. May throw. */
  onStep: (steps: number) => void;
  /** Called if runtimes may unpack something else. */
  onDoubt: (why: string, path: string) => void;
}

/**
 * The file system that containerd's archive.Apply makes of the layers, which are applied from the lowest up, each in
 * the order of its archive.
 * @see https://github.com/containerd/containerd/blob/v2.4.2/pkg/archive/tar.go
 */
export class FileTree {
  readonly root = new Folder();
  readonly #options: FileTreeOptions;
  readonly #layers: number[] = [];
  readonly #indexes: number[] = [];
  /** For each file, whether somebody may want one of its paths. */
  readonly #noted: boolean[] = [];
  /** For each layer, the numbers of its files: from the first to the one before the second number. */
  readonly #files: [first: number, end: number][] = [];
  #layer = 0;
  /** Memory that is not reported yet. */
  #newBytes = 0;
  /** The first file of the layer that is applied. */
  #firstFile = 0;
  /** Paths that the present layer has unpacked; only filled if it makes folders opaque. */
  #unpacked: Set<string> | undefined;
  /** Folders that the layer being merged removes. */
  readonly #removed = new Set<string>();
  /** The folders to which the first names of the change before lead. */
  #folders: Folder[] = [];
  /** How many of these folders have the path of the archive: the next one lies behind a link. */
  #plainFolders = Infinity;

  constructor(options: FileTreeOptions) {
    this.#options = options;
  }

  /**
   * Unpacks a layer over the layers below.
   * @param layer its position, from the lowest, which is 0
   */
  apply(layer: number, { changes, hasOpaque }: { changes: Uint8Array; hasOpaque: boolean }): void {
    this.#layer = layer;
    this.#firstFile = this.#layers.length;
    this.#unpacked = hasOpaque ? new Set() : undefined;
    this.#folders = [];
    this.#removed.clear();
    for (const change of readChanges(changes)) {
      this.#apply(change);
      if (this.#newBytes > REPORTED_BYTES) this.#reportMemory();
    }
    this.#reportMemory();
    this.#files[layer] = [this.#firstFile, this.#layers.length];
  }

  /** The number of the file that was made by this entry of a layer. A later layer may have removed the file. */
  fileOf({ layer, index }: FilePlace): number | undefined {
    let [low, end] = this.#files[layer] ?? [0, 0];
    // The files of a layer are in the order of its archive.
    while (low < end) {
      const middle = (low + end) >>> 1;
      if ((this.#indexes[middle] ?? 0) < index) low = middle + 1;
      else end = middle;
    }
    return this.#layers[low] === layer && this.#indexes[low] === index ? low : undefined;
  }

  /** False if nobody wants the file by any of its paths, so that these need not be looked at. */
  isNoted(file: number): boolean {
    return this.#noted[file] === true;
  }

  /** All files so far have smaller numbers. */
  get fileCount(): number {
    return this.#layers.length;
  }

  /** Where a file comes from. */
  placeOf(file: number): FilePlace {
    return { layer: this.#layers[file] ?? 0, index: this.#indexes[file] ?? 0 };
  }

  /** What a path leads to, as Linux follows links. Undefined if nothing is there. @param path relative to the root */
  find(path: string): { node: TreeNode; folder: Folder; name: string } | undefined {
    const names = path.split('/').toReversed();
    let folder = this.root;
    let links = 0;
    while (names.length > 0) {
      const name = names.pop() ?? '';
      if (name === '' || name === '.') continue;
      if (name === '..') {
        folder = folder.parent ?? folder;
        continue;
      }
      const node = folder.names.get(name);
      if (node === undefined) return undefined;
      if (node instanceof Folder) folder = node;
      else if (node instanceof SymbolicLink) {
        links += 1;
        if (links > MOST_LINKS_READING || names.length > LONGEST_PATH) return undefined;
        if (node.target.startsWith('/')) folder = this.root;
        names.push(...node.target.split('/').toReversed());
      } else return names.length > 0 ? undefined : { node, folder, name };
    }
    return { node: folder, folder: folder.parent ?? folder, name: folder.name };
  }

  /** True if the path leads to a file. Follows links. */
  hasFile(path: string): boolean {
    const found = this.find(path);
    return found !== undefined && !(found.node instanceof Folder);
  }

  #reportMemory(): void {
    this.#options.onMemory(this.#newBytes);
    this.#newBytes = 0;
  }

  #apply({ index, kind, names, sameNames, isNoted, target }: Change): void {
    const name = names.at(-1);
    if (name === undefined) return;
    const parent = this.#parentOf(names, sameNames);
    if (parent === undefined) {
      this.#options.onDoubt('a path with too many symbolic links', names.join('/'));
      return;
    }
    if (name.startsWith('.wh.')) {
      this.#whiteout(parent, name);
      return;
    }
    const existing = parent.names.get(name);
    if (kind === 'directory' && existing instanceof Folder) {
      this.#unpacked?.add(parent.pathOf(name));
      return;
    }
    if (existing !== undefined) this.#remove(parent, name, existing);
    if (kind === 'removal') {
      // overlayfs keeps what lower layers have there.
      if (existing !== undefined) this.#options.onDoubt('a global header with the name of a file', parent.pathOf(name));
      return;
    }
    switch (kind) {
      case 'directory':
        this.#addFolder(parent, name);
        break;
      case 'file':
        this.#layers.push(this.#layer);
        this.#indexes.push(index);
        // At another path than in the archive, others may want it.
        this.#noted.push(isNoted || this.#plainFolders < Infinity);
        this.#set(parent, name, this.#layers.length - 1);
        break;
      case 'symlink':
        this.#set(parent, name, new SymbolicLink(target, this.#layer));
        this.#newBytes += target.length;
        break;
      case 'hardlink':
        this.#set(parent, name, this.#linked(target));
        break;
      case 'other':
        this.#set(parent, name, 'other');
    }
    this.#unpacked?.add(parent.pathOf(name));
  }

  /** The folder for a path. It is created if missing. Undefined if there are too many links. */
  #parentOf(names: readonly string[], sameNames: number): Folder | undefined {
    const folders = this.#folders;
    const depth = names.length - 1;
    if (folders.length > Math.min(depth, sameNames)) folders.length = Math.min(depth, sameNames);
    if (folders.length <= this.#plainFolders) this.#plainFolders = Infinity;
    let folder = folders.at(-1) ?? this.root;
    for (let at = folders.length; at < depth; at += 1) {
      const name = names[at] ?? '';
      const node = folder.names.get(name);
      let next: Folder | undefined;
      if (node instanceof Folder) next = node;
      else if (node instanceof SymbolicLink) {
        this.#plainFolders = Math.min(this.#plainFolders, at);
        next = this.#followed(folder, node, name);
      } else next = this.#addFolderOver(folder, name, node);
      if (next === undefined) return undefined;
      this.#folders.push(next);
      folder = next;
    }
    return folder;
  }

  /** The folder to which a link leads when something is unpacked below it. It is created if missing. */
  #followed(folder: Folder, link: SymbolicLink, name: string): Folder | undefined {
    this.#noteLink(folder, link, name);
    return this.#walk(namesBehind(folder, link), true);
  }

  #noteLink(folder: Folder, link: SymbolicLink, name: string): void {
    // overlayfs unpacks each layer by itself: the folder that it makes hides the link.
    if (link.layer !== this.#layer)
      this.#options.onDoubt('files below a symbolic link of a lower layer', folder.pathOf(name));
  }

  #walk(path: readonly string[] | undefined, create: boolean): Folder | undefined {
    let names = path;
    let folder = this.root;
    let links = 1;
    for (let at = 0; names !== undefined && at < names.length; at += 1) {
      const name = names[at] ?? '';
      const node = folder.names.get(name);
      if (node instanceof Folder) folder = node;
      else if (node instanceof SymbolicLink) {
        links += 1;
        if (links > MOST_LINKS_UNPACKING) return undefined;
        if (create) this.#noteLink(folder, node, name);
        const behind = namesBehind(folder, node);
        this.#options.onStep(behind?.length ?? 0);
        names = behind && [...behind, ...names.slice(at + 1)];
        if ((names?.length ?? 0) > LONGEST_PATH) return undefined;
        folder = this.root;
        at = -1;
      } else if (create) folder = this.#addFolderOver(folder, name, node);
      else return undefined;
    }
    return names && folder;
  }

  #addFolderOver(parent: Folder, name: string, node: Exclude<TreeNode, Folder> | undefined): Folder {
    // containerd's plain unpacking fails here; with overlayfs, a folder of this layer hides a file of a lower one.
    if (node !== undefined) this.#options.onDoubt('files below a path that is no folder', parent.pathOf(name));
    return this.#addFolder(parent, name);
  }

  #addFolder(parent: Folder, name: string): Folder {
    const folder = new Folder(parent, name);
    this.#newBytes += FOLDER_BYTES;
    if (this.#removed.size > 0 && this.#removed.has(folder.path)) {
      // overlayfs sees only the last entry, a folder, and under it what lower layers have there.
      this.#options.onDoubt('a folder that the same layer removes before', folder.path);
    }
    this.#set(parent, name, folder);
    return folder;
  }

  #set(parent: Folder, name: string, node: TreeNode): void {
    parent.names.set(name, node);
    this.#newBytes += NAME_BYTES + name.length;
  }

  #remove(parent: Folder, name: string, node: TreeNode): void {
    parent.names.delete(name);
    if (node instanceof Folder) {
      this.#removed.add(node.path);
      this.#newBytes += NAME_BYTES + name.length;
    }
    // The folders of the change before may be below it.
    if (node instanceof Folder || node instanceof SymbolicLink) this.#folders = [];
  }

  /** What a hard link is: the same file, or the same symbolic link. */
  #linked(target: string): TreeNode {
    const names = cleanPath(target).split('/');
    const name = names.pop() ?? '';
    const node = this.#walk(names, false)?.names.get(name);
    if (node === undefined || node instanceof Folder) return 'unresolved';
    if (typeof node === 'number') this.#noted[node] = true;
    return node;
  }

  #whiteout(parent: Folder, name: string): void {
    if (name === '.wh..wh..opq') {
      if (this.#clear(parent, parent.path)) {
        this.#options.onDoubt('an opaque folder with earlier entries of the same layer', parent.path);
      }
      this.#folders = [];
      return;
    }
    const hidden = name.slice('.wh.'.length);
    if (hidden === '' || hidden === '.' || hidden === '..') {
      this.#options.onDoubt('a whiteout without a name', parent.pathOf(name));
      return;
    }
    const node = parent.names.get(hidden);
    if (node === undefined) return;
    if (this.#isOfThisLayer(node)) {
      this.#options.onDoubt('a whiteout of an earlier entry of the same layer', parent.pathOf(hidden));
    }
    this.#remove(parent, hidden, node);
  }

  /** Removes what the layer has not unpacked. @returns true if something of this layer was removed */
  #clear(folder: Folder, path: string): boolean {
    let isDoubtful = false;
    this.#options.onStep(this.#unpacked?.size === 0 ? 0 : folder.names.size);
    for (const [name, node] of folder.names) {
      const below = path === '' ? name : `${path}/${name}`;
      if (this.#unpacked?.has(below) !== true) {
        if (this.#isOfThisLayer(node)) isDoubtful = true;
        folder.names.delete(name);
      } else if (node instanceof Folder && this.#clear(node, below)) isDoubtful = true;
    }
    return isDoubtful;
  }

  /** True if the present layer has unpacked something here. Each node is looked at once: it is removed afterwards. */
  #isOfThisLayer(node: TreeNode): boolean {
    for (const open = [node]; open.length > 0;) {
      const next = open.pop();
      if (typeof next === 'number' && next >= this.#firstFile) return true;
      if (next instanceof SymbolicLink && next.layer === this.#layer) return true;
      if (next instanceof Folder) for (const below of next.names.values()) open.push(below);
    }
    return false;
  }
}

/** The path to which a link leads. As in containerd, `..` is removed before other links are resolved. */
function namesBehind(folder: Folder, { target }: SymbolicLink): string[] | undefined {
  const path = cleanPath(target.startsWith('/') ? target : `${folder.path}/${target}`);
  if (path.length > LONGEST_PATH) return undefined;
  return path === '' ? [] : path.split('/');
}
