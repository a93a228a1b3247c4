import type { CopyPlan, CopyProgress, Descriptor, Digest, PlannedManifest } from '../../oci/index.js';
import type { Transfers } from './transfers.js';

const TITLE = 'org.opencontainers.image.title';
const EXISTS = 'Exists ';

function titleIn({ annotations }: Descriptor): string {
  return annotations?.[TITLE] ?? '';
}

/**
 * Tells a copy as oras does, node by node. oras goes down from the top and no further than what is there: of what exists, only
 * what a copied manifest needs is told, and what nothing needs. Of files that are one blob, the others are `Skipped`.
 */
export class CopyLines {
  readonly #transfers: Transfers;
  readonly #manifests = new Map<Digest, PlannedManifest>();
  /** Manifests that another one lists, or refers to. */
  readonly #needed = new Set<Digest>();
  /** What exists, and has not been told. */
  readonly #existing = new Map<Digest, Descriptor>();
  /** By which name a node has been told. */
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

  /** All has arrived. @param silent a manifest that gets no line, as in oras */
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
      const told = this.#titles.get(blob.digest);
      if (told !== undefined && told !== titleIn(blob)) this.#transfers.end('Skipped', blob);
    }
  }
}

function needs({ children = [], subject }: PlannedManifest): Digest[] {
  return subject === undefined ? children : [...children, subject];
}
