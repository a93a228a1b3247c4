import type { Descriptor } from '../oci/index.js';
import type { Cataloger, Distro, Package } from './catalogers/cataloger.js';
import { OS_RELEASE_PATHS } from './catalogers/os-release.js';
import { Gaps } from './gaps.js';
import { LayerPass, type Wanted } from './layer-pass.js';
import { overLimit } from './layers/invalid.js';
import { Overlay } from './layers/overlay.js';
import { readTar } from './layers/tar.js';
import { unpackLayer } from './layers/unpack.js';
import type { SbomLimits } from './limits.js';

export interface LocatedPackage extends Package {
  /** Digest of the layer. */
  layer: string;
  /** Of the database or manifest, below the root. */
  path: string;
}

/**
 * What an image holds, gathered layer by layer from the top down: of each path the uppermost file counts, and nothing that a
 * layer above hides. Memory grows with what is found and with the number of paths, not with the size of the layers.
 */
export class Catalog {
  readonly packages: LocatedPackage[] = [];
  readonly gaps: Gaps;
  readonly #catalogers: readonly Cataloger[];
  readonly #limits: SbomLimits;
  readonly #overlay: Overlay;
  readonly #distros = new Map<string, Distro>();
  #unpackedBytes = 0;
  #entries = 0;
  #packageChars = 0;

  constructor(catalogers: readonly Cataloger[], limits: SbomLimits) {
    this.#catalogers = catalogers;
    this.#limits = limits;
    this.#overlay = new Overlay(limits);
    this.gaps = new Gaps(limits);
  }

  get distro(): Distro | undefined {
    return OS_RELEASE_PATHS.map((path) => this.#distros.get(path)).find((found) => found !== undefined);
  }

  /**
   * Reads one layer. `open` gives its bytes as the registry has them, anew each time: a layer whose hard links lead to files that
   * were passed by is read again.
   * @param place.index counts from the top, which is 0
   * @throws InputError `LAYER_INVALID`, `SBOM_LIMIT`
   */
  async addLayer(
    layer: Descriptor,
    place: { index: number; isLowest: boolean },
    open: () => Promise<AsyncIterable<Uint8Array>>,
  ): Promise<void> {
    let alsoRead: Wanted = new Map();
    for (let passes = 1; ; passes++) {
      const pass = new LayerPass({
        ...place,
        alsoRead,
        catalogers: this.#catalogers,
        overlay: this.#overlay,
        gaps: this.gaps,
      });
      for await (const entry of readTar(
        this.#counted(unpackLayer(await open(), layer.digest)),
        layer.digest,
        this.#limits,
      )) {
        this.#countEntry();
        await pass.add(entry);
      }
      const wanted = union(alsoRead, pass.wanted);
      if (sizeOf(wanted) === sizeOf(alsoRead) || passes === this.#limits.passesPerLayer) {
        this.#keep(layer, pass);
        return;
      }
      alsoRead = wanted;
    }
  }

  #keep(layer: Descriptor, pass: LayerPass): void {
    for (const [path, { cataloger, reading }] of pass.found) {
      for (const gap of reading.gaps ?? []) this.gaps.add(`${cataloger.name}: ${gap} (${path})`);
      if (reading.distro !== undefined) this.#distros.set(path, reading.distro);
      for (const found of reading.packages ?? []) this.#add({ ...found, layer: layer.digest, path });
    }
  }

  #add(found: LocatedPackage): void {
    this.packages.push(found);
    const { name, version, licenses = [], path } = found;
    this.#packageChars += licenses.reduce((sum, text) => sum + text.length, name.length + version.length + path.length);
    if (this.packages.length > this.#limits.packages) {
      throw overLimit(`the image has over ${this.#limits.packages} packages`, this.#limits.packages);
    }
    if (this.#packageChars > this.#limits.packageChars) {
      throw overLimit(
        `what its packages say has over ${this.#limits.packageChars} characters`,
        this.#limits.packageChars,
      );
    }
  }

  #countEntry(): void {
    this.#entries += 1;
    if (this.#entries > this.#limits.entries) {
      throw overLimit(`the layers have over ${this.#limits.entries} archive entries`, this.#limits.entries);
    }
  }

  async *#counted(unpacked: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const bytes of unpacked) {
      this.#unpackedBytes += bytes.length;
      if (this.#unpackedBytes > this.#limits.unpackedBytes) {
        throw overLimit(`the layers unpack to over ${this.#limits.unpackedBytes} bytes`, this.#limits.unpackedBytes);
      }
      yield bytes;
    }
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
