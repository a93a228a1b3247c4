import type { Cataloger, Gap, LocatedPackage } from './catalogers/cataloger.js';
import type { GapCause } from './gaps.js';
import { areComparable } from './catalogers/file-digests.js';
import type { FileTree } from './layers/file-tree.js';
import { baseOf, cleanPath, parentOf } from './layers/path.js';
import { Folder } from './layers/tree-nodes.js';

/** A file that the kernel can start, at one of its paths. */
export interface ProgramFile {
  /** Clean, relative to the root, without symbolic links. */
  path: string;
  /** The number of the file in the file tree of the image. */
  file: number;
  /** What follows `#!` in a script: the interpreter and perhaps an argument. Absent for ELF files. */
  interpreter?: string;
}

/** A package and the cataloger that found it. */
export type FoundPackage = LocatedPackage & { cataloger: Pick<Cataloger, 'kind'> };

/** A gap in a file, and the cataloger that read the file. */
export type FoundGap = Gap & { path: string; cataloger: Pick<Cataloger, 'kind'> };

/** A program that belongs to no package. */
export interface UnownedProgram {
  cause: Extract<GapCause, 'unowned-binaries' | 'unowned-interpreters'>;
  path: string;
}

/** Digests of a file of the tree. Undefined if it is no program and no file of a language package. */
export type DigestsOf = (file: number) => readonly string[] | undefined;

/** Where `env` looks for programs, in images that say nothing else. */
const PATH = ['usr/local/sbin', 'usr/local/bin', 'usr/sbin', 'usr/bin', 'sbin', 'bin'];
/** Folders that many packages share: the root and those of the Filesystem Hierarchy Standard. */
const SHARED =
  /^(?:(?:usr\/(?:local\/)?|opt\/)?(?:(?:s?bin|lib(?:32|64|x32|exec)?|share|include|src|games|etc)(?:\/[\w.-]+-linux-[\w.-]+)?)?|usr|usr\/local|opt|srv|home|root|var|var\/lib|var\/opt|run|tmp)$/;
/** Maximum characters of a path that a package owns, as Linux's PATH_MAX. */
const LONGEST_PATH = 4096;

/** The files and folders that belong to packages. */
class Owned {
  readonly #tree: FileTree;
  readonly #digestsOf: DigestsOf;
  /** For each file and folder, the topmost layer from which files may come; -1 for none. */
  readonly #ofFiles: Float64Array;
  readonly #ofFolders = new Map<Folder, number>();
  /** Files without a digest that can be compared with the one that a package lists. */
  readonly unread = new Set<number>();
  /** Folders by the path that leads there, because one folder has many files. */
  readonly #folders = new Map<string, Folder | undefined>();
  /** For folders that were asked for: the topmost layer of them and of all folders above them. */
  readonly #inherited = new Map<Folder, number>();

  constructor(tree: FileTree, digestsOf: DigestsOf) {
    this.#tree = tree;
    this.#ofFiles = new Float64Array(tree.fileCount).fill(-1);
    this.#digestsOf = digestsOf;
  }

  /**
   * Adds what a package owns. If that is a link, the file to which it leads may belong to anybody: it is not added. A
   * file with another digest than the database lists was replaced.
   * @param layer the topmost layer from which its files may come
   * @param withFolders whether a path with a trailing slash means everything below. Distributions list each file.
   */
  add({ owns = [], digests = [], path }: LocatedPackage, layer: number, withFolders: boolean): void {
    for (const [at, owned] of owns.entries()) {
      if (owned.length > LONGEST_PATH) continue;
      const place = cleanPath(owned.startsWith('/') ? owned.slice(1) : `${parentOf(path)}/${owned}`);
      if (owned.endsWith('/')) {
        if (!withFolders) continue;
        const folder = this.#folderAt(place);
        if (folder !== undefined && !SHARED.test(folder.path)) this.#raiseFolder(folder, layer);
        continue;
      }
      const node = this.#folderAt(parentOf(place))?.names.get(baseOf(place));
      // dpkg also lists folders, such as /usr/bin: what others put there is not the package's.
      if (typeof node !== 'number') continue;
      const listed = digests[at] ?? '';
      const real = listed === '' ? undefined : this.#digestsOf(node);
      if (real === undefined) this.#raise(node, layer);
      else if (real.includes(listed)) this.#raise(node, Infinity);
      else if (!areComparable(real, listed)) this.unread.add(node);
    }
  }

  /** Adds the file in which a package was found. */
  addFile(path: string): void {
    const node = this.#tree.find(path)?.node;
    if (typeof node === 'number') this.#raise(node, Infinity);
  }

  /** @param path one of the paths of the file, clean, relative to the root */
  has(path: string, file: number): boolean {
    const { layer } = this.#tree.placeOf(file);
    if (layer <= (this.#ofFiles[file] ?? -1)) return true;
    const folder = this.#folderAt(parentOf(path));
    return folder !== undefined && layer <= this.#inheritedBy(folder);
  }

  #inheritedBy(folder: Folder): number {
    const above: Folder[] = [];
    let layer = -1;
    for (let at: Folder | undefined = folder; at !== undefined; at = at.parent) {
      const known = this.#inherited.get(at);
      layer = known ?? -1;
      if (known !== undefined) break;
      above.push(at);
    }
    for (const at of above.toReversed()) {
      layer = Math.max(layer, this.#ofFolders.get(at) ?? -1);
      this.#inherited.set(at, layer);
    }
    return layer;
  }

  #raise(file: number, layer: number): void {
    this.#ofFiles[file] = Math.max(layer, this.#ofFiles[file] ?? -1);
  }

  #raiseFolder(folder: Folder, layer: number): void {
    this.#ofFolders.set(folder, Math.max(layer, this.#ofFolders.get(folder) ?? -1));
    this.#inherited.clear();
  }

  #folderAt(path: string): Folder | undefined {
    if (this.#folders.has(path)) return this.#folders.get(path);
    const node = this.#tree.find(path)?.node;
    const folder = node instanceof Folder ? node : undefined;
    this.#folders.set(path, folder);
    return folder;
  }
}

/**
 * Compares the programs of an image with what its packages own.
 * @param found all packages, and the gaps in the files that were read
 * @param programs each path of each ELF file and script
 * @param layers digests, from the lowest layer up
 * @param digestsOf for all programs, and for all files of packages of languages; those that are unlikely to be listed may
 *   be missing
 * @returns the packages and gaps to list, and the ELF files and script interpreters that belong to none of them. A program that
 *   scripts name is an interpreter and not one of the ELF files. Interpreters that are not in the image do not count.
 *   `unread`: listed files without a digest that can be compared. They count as replaced.
 */
export function compareOwners<P extends FoundPackage, G extends FoundGap>(
  found: { packages: readonly P[]; gaps: readonly G[] },
  programs: Iterable<ProgramFile>,
  tree: FileTree,
  layers: readonly string[],
  digestsOf: DigestsOf,
): { packages: P[]; gaps: G[]; unowned: UnownedProgram[]; unread: readonly number[] } {
  const ofSystem = new Owned(tree, digestsOf);
  // Without a digest, a file from a layer above the database was replaced after its package was installed.
  for (const each of found.packages)
    if (each.cataloger.kind === 'os') ofSystem.add(each, layers.lastIndexOf(each.listLayer ?? each.layer), false);
  const isOfSystem = (path: string): boolean => {
    const place = tree.find(path);
    return typeof place?.node === 'number' && ofSystem.has(place.folder.pathOf(place.name), place.node);
  };
  // A language package or runtime that came with a package of the system is listed as that, so its gaps hide nothing. The
  // modules inside a program stay, because no other package names them.
  const isListed = ({ cataloger: { kind }, type, path }: P): boolean =>
    kind === 'os' || (kind === 'binary' && type !== 'generic') || !isOfSystem(path);
  const packages = found.packages.filter(isListed);
  const gaps = found.gaps.filter(({ cataloger: { kind }, path }) => kind === 'os' || !isOfSystem(path));
  const programFiles = [...programs];
  const numbers = new Set(programFiles.map(({ file }) => file));
  // Only for programs is it asked whether they belong to such a package.
  const ofOthers = new Owned(tree, (file) => (numbers.has(file) ? digestsOf(file) : undefined));
  for (const each of packages) {
    if (each.cataloger.kind === 'os') continue;
    ofOthers.add(each, Infinity, true);
    ofOthers.addFile(each.path);
  }
  const isOwned = (path: string, file: number): boolean => ofSystem.has(path, file) || ofOthers.has(path, file);

  const lines = new Set<string>();
  /** ELF files of which one path is owned, and the first path of all others. */
  const owned = new Set<number>();
  const binaries = new Map<number, string>();
  for (const { path, file, interpreter } of programFiles) {
    if (interpreter !== undefined) lines.add(interpreter);
    else if (owned.has(file) || isOwned(path, file)) {
      owned.add(file);
      binaries.delete(file);
    } else if (path < (binaries.get(file) ?? '\uffff')) binaries.set(file, path);
  }
  const interpreters = new Map<number, string>();
  for (const wanted of new Set([...lines].flatMap((line) => [...interpretersOf(line)]))) {
    const place = wanted.length > LONGEST_PATH ? undefined : tree.find(wanted);
    if (typeof place?.node !== 'number' || owned.has(place.node)) continue;
    const path = place.folder.pathOf(place.name);
    if (isOwned(path, place.node)) continue;
    interpreters.set(place.node, binaries.get(place.node) ?? path);
    binaries.delete(place.node);
  }
  const unowned = (cause: UnownedProgram['cause'], paths: Iterable<string>): UnownedProgram[] =>
    [...paths].sort().map((path) => ({ cause, path }));
  return {
    packages,
    gaps,
    unowned: [
      ...unowned('unowned-binaries', binaries.values()),
      ...unowned('unowned-interpreters', interpreters.values()),
    ],
    unread: [...new Set([...ofSystem.unread, ...ofOthers.unread])],
  };
}

/** The interpreter that a script names, and the program that `env` looks for. */
function* interpretersOf(line: string): Generator<string> {
  const [program = '', ...words] = line.split(/[ \t]+/).filter((word) => word !== '');
  yield program;
  if (baseOf(program) !== 'env') return;
  const name = words
    .filter((_, at) => !/^(?:-[uC]|--unset|--chdir)$/.test(words[at - 1] ?? ''))
    .map((word) => word.replace(/^(?:-v?S|--split-string=)/, ''))
    .find((word) => word !== '' && !word.startsWith('-') && !word.includes('='));
  if (name === undefined) return;
  if (name.includes('/')) yield name;
  else for (const folder of PATH) yield `${folder}/${name}`;
}
