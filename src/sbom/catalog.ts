import type { Descriptor } from '../oci/index.js';
import { Budget, type Counts } from './budget.js';
import type { Cataloger, Distro, LocatedPackage } from './catalogers/cataloger.js';
import { OS_RELEASE_PATHS } from './catalogers/os-release.js';
import { Gaps, type GapsState } from './gaps.js';
import { LayerPass, type Wanted } from './layer-pass.js';
import { Overlay, type Folder } from './layers/overlay.js';
import { readTar, type TarEntry } from './layers/tar.js';
import { checkDiffId, unpackLayer } from './layers/unpack.js';
import type { SbomLimits } from './limits.js';
import type { Turns } from './turns.js';

/** What was found in the layers read so far, from the top down, as plain objects, arrays and maps. */
export interface CatalogState {
  packages: LocatedPackage[];
  gaps: GapsState;
  hidden: Folder;
  distros: [string, Distro][];
  counts: Counts;
}

/**
 * The content of an image, collected layer by layer from the top down. For each path only the topmost file counts,
 * unless a layer above hides it. Memory grows with the number of packages and paths, not with the size of the layers.
 */
export class Catalog {
  readonly packages: LocatedPackage[];
  readonly gaps: Gaps;
  readonly #catalogers: readonly Cataloger[];
  readonly #limits: SbomLimits;
  readonly #turns: Turns;
  readonly #budget: Budget;
  readonly #overlay: Overlay;
  readonly #distros: Map<string, Distro>;

  /** @param state the state of another catalog that has read the layers above */
  constructor(catalogers: readonly Cataloger[], limits: SbomLimits, turns: Turns, state?: CatalogState) {
    this.#catalogers = catalogers;
    this.#limits = limits;
    this.#turns = turns;
    this.#budget = new Budget(limits, state?.counts);
    this.#overlay = new Overlay(this.#budget, state?.hidden);
    this.#distros = new Map(state?.distros);
    this.packages = state?.packages ?? [];
    this.gaps = new Gaps(limits, state?.gaps);
  }

  /** What was found so far. Only valid between two layers. */
  get state(): CatalogState {
    return {
      packages: this.packages,
      gaps: this.gaps.state,
      hidden: this.#overlay.root,
      distros: [...this.#distros],
      counts: this.#budget.counts,
    };
  }

  get distro(): Distro | undefined {
    return OS_RELEASE_PATHS.map((path) => this.#distros.get(path)).find((found) => found !== undefined);
  }

  /**
   * Reads one layer. A layer with hard links to files that were skipped is read again, up to `passesPerLayer` times.
   * @param place.index position from the top, which is 0
   * @param place.isLowest true for the lowest layer
   * @param place.diffId digest of the unpacked layer according to the image's config; not checked if undefined
   * @param open opens the packed layer from its start
   * @throws InputError `LAYER_INVALID`, `IMAGE_CONFIG_MISMATCH`, `SBOM_LIMIT`
   */
  async addLayer(
    layer: Descriptor,
    { diffId, ...place }: { index: number; isLowest: boolean; diffId?: unknown },
    open: () => Promise<AsyncIterable<Uint8Array>>,
  ): Promise<void> {
    let alsoRead: Wanted = new Map();
    const { packages, packageChars } = this.#budget.counts;
    for (let passes = 1; ; passes++) {
      // Packages of the previous pass are not counted twice, but bytes read are.
      Object.assign(this.#budget.counts, { packages, packageChars });
      const pass = new LayerPass({
        ...place,
        alsoRead,
        catalogers: this.#catalogers,
        overlay: this.#overlay,
        gaps: this.gaps,
        budget: this.#budget,
        turns: this.#turns,
      });
      for await (const entry of this.#entries(layer, diffId, await open())) {
        await pass.add(entry);
        if (this.#turns.isOver) await this.#turns.rest();
      }
      const wanted = union(alsoRead, pass.wanted);
      if (sizeOf(wanted) === sizeOf(alsoRead) || passes === this.#limits.passesPerLayer) {
        await this.#keep(layer, pass);
        return;
      }
      pass.found.release();
      alsoRead = wanted;
    }
  }

  #entries(layer: Descriptor, diffId: unknown, packed: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
    const { digest } = layer;
    const unpacked = unpackLayer(this.#budget.packed(packed), layer, (bytes) => this.#budget.takeFrame(bytes));
    const counted = this.#budget.unpacked(unpacked);
    const checked = diffId === undefined ? counted : checkDiffId(counted, digest, diffId);
    return readTar(checked, digest, this.#limits, () => this.#budget.take('entries'));
  }

  async #keep(layer: Descriptor, pass: LayerPass): Promise<void> {
    for (const [path, { cataloger, reading }] of pass.found.entries()) {
      for (const gap of reading.gaps ?? []) {
        this.gaps.add(gap.cause, `${cataloger.name}: ${gap.detail} (${path})`);
      }
      if (reading.distro !== undefined) this.#distros.set(path, reading.distro);
      for (const found of reading.packages ?? []) this.packages.push({ ...found, layer: layer.digest, path });
      if (this.#turns.isOver) await this.#turns.rest();
    }
    pass.found.release();
  }
}

function union(one: Wanted, other: Wanted): Wanted {
  const all = new Map(one);
  for (const [path, readers] of other) all.set(path, new Set([...(all.get(path) ?? []), ...readers]));
  return all;
}

function sizeOf(wanted: Wanted): number {
  return [...wanted.values()].reduce((sum, readers) => sum + readers.size, 0);
}
