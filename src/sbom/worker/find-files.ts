import { unreadEcosystem } from '../catalogers/unread.js';
import type { Cataloger } from '../catalogers/cataloger.js';
import { Folder, SymbolicLink, type FileTree } from '../layers/file-tree.js';

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
  /** All other files, by number, with their path. A file with several paths has the first. */
  others: ReadonlyMap<number, string>;
  /** Files of ecosystems without a cataloger. */
  unread: { path: string; ecosystem: string }[];
  /** Wanted paths with a hard link that leads nowhere. Behind a symbolic link that leads nowhere there is nothing. */
  unresolved: { path: string; cataloger: Cataloger }[];
  /** The link at which looking for files stopped, because there are too many paths behind links. */
  stoppedAt?: string;
}

/** Longer paths behind links cannot be opened, as by Linux's PATH_MAX. */
const LONGEST_PATH = 4096;

/**
 * Finds the files that catalogers want in the merged file system. A path behind a symbolic link counts if the cataloger
 * does not want the file where it is: `node_modules/a -> ../packages/a` makes packages/a a package.
 * @param mostLinkedPaths maximum paths behind symbolic links; further ones are not looked at
 */
export function findFiles(tree: FileTree, catalogers: readonly Cataloger[], mostLinkedPaths: number): FoundFiles {
  const others = new Map<number, string>();
  const found: FoundFiles = { wanted: [], others, unread: [], unresolved: [] };
  const links: string[] = [];
  let linkedPaths = 0;
  /** For each file, the catalogers that have it. */
  const taken = new Map<number, Set<Cataloger>>();
  const want = (path: string, file: number, cataloger: Cataloger): void => {
    found.wanted.push({ path, file, cataloger });
    const takers = taken.get(file);
    if (takers === undefined) taken.set(file, new Set([cataloger]));
    else takers.add(cataloger);
  };
  const readerOf = (path: string): Cataloger | undefined => catalogers.find((each) => each.wants(path));

  for (const { path, node } of nodesBelow(tree.root, '')) {
    if (node instanceof SymbolicLink) links.push(path);
    else if (typeof node === 'number') {
      const cataloger = readerOf(path);
      if (cataloger !== undefined) want(path, node, cataloger);
      else {
        if (!others.has(node)) others.set(node, path);
        const ecosystem = unreadEcosystem(path);
        if (ecosystem !== undefined) found.unread.push({ path, ecosystem });
      }
    } else if (node === 'unresolved') {
      const cataloger = readerOf(path);
      if (cataloger !== undefined) found.unresolved.push({ path, cataloger });
    }
  }

  const follow = (path: string, within: readonly Folder[]): void => {
    linkedPaths += 1;
    if (path.length > LONGEST_PATH || found.stoppedAt !== undefined) return;
    const target = tree.find(path)?.node;
    if (target instanceof Folder) {
      // A link to a folder around it would go on for ever.
      if (within.includes(target)) return;
      for (const below of nodesBelow(target, path)) {
        linkedPaths += 1;
        if (linkedPaths > mostLinkedPaths) {
          found.stoppedAt ??= path;
          return;
        }
        if (below.node instanceof SymbolicLink) follow(below.path, [...within, target]);
        else if (typeof below.node === 'number') wantBehind(below.path, below.node);
      }
    } else if (typeof target === 'number') wantBehind(path, target);
  };
  const wantBehind = (path: string, file: number): void => {
    const cataloger = readerOf(path);
    if (cataloger !== undefined && taken.get(file)?.has(cataloger) !== true) want(path, file, cataloger);
  };
  for (const path of links.sort()) follow(path, []);
  for (const file of taken.keys()) others.delete(file);
  return found;
}

/** Everything below a folder except folders, with paths that begin with `path`. */
export function* nodesBelow(
  folder: Folder,
  path: string,
): Generator<{ path: string; node: Exclude<ReturnType<Folder['names']['get']>, Folder | undefined> }> {
  for (const open: [Folder, string][] = [[folder, path]]; open.length > 0;) {
    const [next, prefix] = open.pop() ?? [folder, path];
    for (const [name, node] of next.names) {
      const below = prefix === '' ? name : `${prefix}/${name}`;
      if (node instanceof Folder) open.push([node, below]);
      else yield { path: below, node };
    }
  }
}
