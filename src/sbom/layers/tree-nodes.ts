/** A folder of the image. */
export class Folder {
  readonly names = new Map<string, TreeNode>();
  readonly parent: Folder | undefined;
  readonly name: string;

  constructor(parent?: Folder, name = '') {
    this.parent = parent;
    this.name = name;
  }

  /** Clean, relative to the root; '' for the root. */
  get path(): string {
    const names: string[] = [this.name];
    for (let folder = this.parent; folder?.parent !== undefined; folder = folder.parent) names.push(folder.name);
    return names.toReversed().join('/');
  }

  /** The path of a name in this folder. */
  pathOf(name: string): string {
    const { path } = this;
    return path === '' ? name : `${path}/${name}`;
  }
}

/** A symbolic link. */
export class SymbolicLink {
  readonly target: string;
  /** Position of its layer, from the lowest, which is 0. */
  readonly layer: number;

  constructor(target: string, layer: number) {
    this.target = target;
    this.layer = layer;
  }
}

/** A regular file is a number, which `FileTree.placeOf` takes. `unresolved`: a hard link that leads nowhere. */
export type TreeNode = Folder | SymbolicLink | number | 'other' | 'unresolved';
