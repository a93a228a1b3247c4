import type { CopyPlan, CopyProgress, Descriptor, Digest, PlannedManifest } from '../../oci/index.js';
import type { Transfers } from './transfers.js';

const TITLE = 'org.opencontainers.image.title';
const EXISTS = 'Exists ';

function titleIn({ annotations }: Descriptor): string {
  return annotations?.[TITLE] ?? '';
}

/**
 * Prints a copy as oras does, node by node. oras walks down from the root and stops at nodes that exist. So an existing
 * node is printed if a copied manifest needs it, or if no manifest needs it. Further names of one blob are `Skipped`.
 */
export class CopyLines {
  readonly #transfers: Transfers;
  readonly #manifests = new Map<Digest, PlannedManifest>();
  /** Manifests that another one lists, or refers to. */
  readonly #needed = new Set<Digest>();
  /** Nodes that exist, and have not been printed. */
  readonly #existing = new Map<Digest, Descriptor>();
  /** The names under which nodes were printed. */
  readonly #titles = new Map<Digest, string>();

  constructor(transfers: Transfers) {
    this.#transfers = transfers;
  }

  plan({ manifests }: CopyPlan): void {
    for (const manifest of manifests) {
      this.#manifests.set(manifest.descriptor.digest, manifest);
      for (const digest of needs(manifest)) this.#needed.add(digest);
    }
  }

  tell({ state, descriptor, moreBytes = 0 }: CopyProgress): void {
    const { digest } = descriptor;
    const manifest = this.#manifests.get(digest);
    switch (state) {
      case 'moving':
        return this.#transfers.move(descriptor, moreBytes);
      case 'started':
        if (manifest) this.#tellExisting(manifest);
        return this.#transfers.start('Copying', descriptor);
      case 'existed':
        this.#titles.set(digest, titleIn(descriptor));
        this.#existing.set(digest, descriptor);
        return undefined;
      case 'copied':
      case 'mounted':
        this.#titles.set(digest, titleIn(descriptor));
        if (manifest) this.#tellSkipped(manifest);
        return this.#transfers.end(state === 'copied' ? 'Copied ' : 'Mounted', descriptor);
    }
  }

  /** Prints the rest, at the end. @param silent a node to leave out: oras prints nothing for a tag that it sets */
  finish(silent?: Digest): void {
    for (const [digest, descriptor] of this.#existing) {
      const isTop = !this.#needed.has(digest) && (this.#manifests.has(digest) || this.#manifests.size === 0);
      if (isTop && digest !== silent) this.#transfers.end(EXISTS, descriptor);
    }
  }

  #tellExisting(manifest: PlannedManifest): void {
    for (const digest of [...manifest.blobs.map((blob) => blob.digest), ...needs(manifest)]) {
      const existing = this.#existing.get(digest);
      if (existing) this.#transfers.end(EXISTS, existing);
      this.#existing.delete(digest);
    }
  }

  #tellSkipped({ blobs }: PlannedManifest): void {
    for (const blob of blobs) {
      const title = this.#titles.get(blob.digest);
      if (title !== undefined && title !== titleIn(blob)) this.#transfers.end('Skipped', blob);
    }
  }
}

function needs({ children = [], subject }: PlannedManifest): Digest[] {
  return subject === undefined ? children : [...children, subject];
}
