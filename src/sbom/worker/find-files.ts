import { unreadEcosystem } from '../catalogers/unread.js';
import type { Cataloger } from '../catalogers/cataloger.js';
import type { ProgramFile } from '../completeness.js';
import type { FileTree } from '../layers/file-tree.js';
import { getOrMake } from '../../oci/index.js';
import { Folder, SymbolicLink, type TreeNode } from '../layers/tree-nodes.js';

/** A file that a cataloger reads. */
export interface WantedFile {
  /** Clean, relative to the root. */
  path: string;
  /** The number of the file in the tree. */
  file: number;
  cataloger: Cataloger;
}

/** The files of an image. */
export interface FoundFiles {
  /** Files that a cataloger wants by their path. */
  wanted: WantedFile[];
  /** All other files that were read, by number, with their path. A file with several paths has the first. */
  others: ReadonlyMap<number, string>;
  /** Each path of each ELF file and script. */
  programs: ProgramFile[];
  /** Files of ecosystems without a cataloger. */
  unread: { path: string; ecosystem: string }[];
  /** Wanted paths with a hard link that leads nowhere. Behind a symbolic link that leads nowhere there is nothing. */
  unresolved: { path: string; cataloger: Cataloger }[];
  /** The link at which looking for files stopped, because there are too many paths behind links. */
  stoppedAt?: string;
}

/** What the layers say of their files. */
export interface SeenFiles {
  /** True if a cataloger has read the file, because of its path in the archive or its content. */
  isRead: (file: number) => boolean;
  programOf: (file: number) => Pick<ProgramFile, 'interpreter'> | undefined;
}

/** Longer paths behind links cannot be opened, as by Linux's PATH_MAX. */
const LONGEST_PATH = 4096;

/**
 * Finds the files that catalogers want in the merged file system. A path behind a symbolic link counts if the cataloger
 * does not want the file where it is, or if the path says something else: `node_modules/a -> ../packages/a` makes
 * packages/a a package.
 * @param mostLinkedPaths maximum paths behind symbolic links; further ones are not looked at
 */
export function findFiles(
  tree: FileTree,
  { isRead, programOf }: SeenFiles,
  catalogers: readonly Cataloger[],
  mostLinkedPaths: number,
): FoundFiles {
  const others = new Map<number, string>();
  const found: FoundFiles = { wanted: [], others, programs: [], unread: [], unresolved: [] };
  const links: string[] = [];
  let linkedPaths = 0;
  /** For each file, the catalogers that have it, with the roles of its paths. */
  const taken = new Map<number, Map<Cataloger, string[]>>();
  const want = (path: string, file: number, cataloger: Cataloger): void => {
    found.wanted.push({ path, file, cataloger });
    const takers = getOrMake(taken, file, () => new Map<Cataloger, string[]>());
    getOrMake(takers, cataloger, () => ['']).push(cataloger.roleOf?.(path) ?? '');
  };
  const readerOf = (path: string): Cataloger | undefined => catalogers.find((each) => each.wants(path));

  visitBelow(tree.root, '', (node, pathOf) => {
    if (node instanceof SymbolicLink) links.push(pathOf());
    else if (typeof node === 'number') {
      const program = programOf(node);
      if (program !== undefined) found.programs.push({ ...program, path: pathOf(), file: node });
      const cataloger = tree.isNoted(node) ? readerOf(pathOf()) : undefined;
      if (cataloger !== undefined) want(pathOf(), node, cataloger);
      else {
        if (isRead(node) && !others.has(node)) others.set(node, pathOf());
        const ecosystem = tree.isNoted(node) ? unreadEcosystem(pathOf()) : undefined;
        if (ecosystem !== undefined) found.unread.push({ path: pathOf(), ecosystem });
      }
    } else if (node === 'unresolved') {
      const cataloger = readerOf(pathOf());
      if (cataloger !== undefined) found.unresolved.push({ path: pathOf(), cataloger });
    }
    return true;
  });

  const follow = (path: string, within: readonly Folder[]): void => {
    linkedPaths += 1;
    if (path.length > LONGEST_PATH || found.stoppedAt !== undefined) return;
    const target = tree.find(path)?.node;
    if (target instanceof Folder) {
      // A link to a folder around it would go on for ever.
      if (within.includes(target)) return;
      visitBelow(target, path, (node, pathOf) => {
        linkedPaths += 1;
        if (linkedPaths > mostLinkedPaths) {
          found.stoppedAt ??= path;
          return false;
        }
        if (node instanceof SymbolicLink) follow(pathOf(), [...within, target]);
        else if (typeof node === 'number') wantBehind(pathOf(), node);
        return true;
      });
    } else if (typeof target === 'number') wantBehind(path, target, true);
  };
  const wantBehind = (path: string, file: number, isLink = false): void => {
    const cataloger = readerOf(path);
    if (cataloger === undefined) return;
    const roles = taken.get(file)?.get(cataloger) ?? [];
    const isTaken = roles.includes(cataloger.roleOf?.(path) ?? '') && !(isLink && cataloger.dependsOnFolder === true);
    if (!isTaken) want(path, file, cataloger);
  };
  for (const path of links.sort()) follow(path, []);
  // A path may lead through one folder several times: these are not followed above.
  for (const path of catalogers.flatMap((each) => placesOf(each, tree))) {
    const node = tree.find(path)?.node;
    if (typeof node === 'number') wantBehind(path, node);
  }
  for (const file of taken.keys()) others.delete(file);
  return found;
}

/** The paths that may exist at the places of a cataloger. */
function placesOf({ places = [] }: Cataloger, tree: FileTree): string[] {
  return places.flatMap((place) => {
    if (!place.endsWith('/')) return [place];
    const folder = tree.find(place)?.node;
    return folder instanceof Folder ? [...folder.names.keys()].sort().map((name) => place + name) : [];
  });
}

type Leaf = Exclude<TreeNode, Folder>;

/**
 * Visits everything below a folder except folders, until the visitor returns false.
 * @param path of the folder. Paths are put together only where they are needed: most files interest nobody.
 */
function visitBelow(folder: Folder, path: string, visit: (node: Leaf, pathOf: () => string) => boolean): void {
  const open: [Folder, string][] = [[folder, path]];
  let [name, prefix] = ['', ''];
  const pathOf = (): string => (prefix === '' ? name : `${prefix}/${name}`);
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    prefix = next[1];
    for (const [below, node] of next[0].names) {
      name = below;
      if (node instanceof Folder) open.push([node, pathOf()]);
      else if (!visit(node, pathOf)) return;
    }
  }
}
