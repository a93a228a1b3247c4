import { InputError, type Descriptor, type Digest } from '../../oci/index.js';
import { Budget } from '../budget.js';
import { packagesAt, type Cataloger, type Distro, type FoundFile } from '../catalogers/cataloger.js';
import { CATALOGERS } from '../catalogers/index.js';
import { OS_RELEASE_PATHS } from '../catalogers/os-release.js';
import { makeSboms } from '../documents/make.js';
import { compareOwners, type FoundGap, type FoundPackage, type ProgramFile } from '../completeness.js';
import { Gaps } from '../gaps.js';
import type { Sbom } from '../generator.js';
import { parseImageConfig } from '../image-config.js';
import { FileTree } from '../layers/file-tree.js';
import { DIGESTS, RECOGNIZERS, type FileReading, type LayerReading } from '../layers/layer-reading.js';
import { whyUnreadable } from '../layers/unpack.js';
import type { SbomLimits } from '../limits.js';
import type { SbomFormat } from '../tool.js';
import { findFiles, type FoundFiles, type SeenFiles } from './find-files.js';
import { LayerReader, type BlobSource } from './layer-reader.js';

/** An image whose SBOMs are to be made. */
export interface ImageWork {
  /** `registry/repository` */
  name: string;
  /** Digest of the manifest. */
  digest: Digest;
  layers: readonly Descriptor[];
  /** Digests of layers that the registry does not have. */
  elsewhere: readonly Digest[];
  /** The bytes of the config. */
  config: Uint8Array;
  formats: readonly SbomFormat[];
  limits: SbomLimits;
}

/**
 * Makes the SBOMs of an image: each layer is read by itself, several at a time, the layers are merged as a runtime does
 * it, and the catalogers say what the files at their places mean.
 * @throws InputError `LAYER_INVALID`, `LAYER_UNSUPPORTED`, `IMAGE_CONFIG_MISMATCH`, `SBOM_LIMIT`
 */
export async function makeImageSboms(work: ImageWork, blobs: BlobSource): Promise<Sbom[]> {
  const image = new Image(work, blobs);
  await image.readLayers();
  await image.readWhereLinksLead();
  const found = await image.catalog();
  return makeSboms({ ...found, name: work.name, digest: work.digest }, work.formats, work.limits);
}

class Image {
  readonly #work: ImageWork;
  readonly #config;
  readonly #gaps: Gaps;
  readonly #tree: FileTree;
  readonly #reader: LayerReader;
  /** The reading of each layer; the lowest layer comes first. Undefined if a layer cannot be read. */
  readonly #readings: (LayerReading | undefined)[] = [];
  #found: FoundFiles | undefined;

  constructor(work: ImageWork, blobs: BlobSource) {
    this.#work = work;
    this.#config = parseImageConfig(work.config);
    const budget = new Budget(work.limits, packedBytesOf(work));
    this.#reader = new LayerReader(blobs, CATALOGERS, work.limits, budget);
    this.#gaps = new Gaps(work.limits);
    this.#tree = new FileTree({
      onMemory: (bytes) => budget.take('rememberedBytes', bytes),
      onStep: (steps) => budget.take('entries', steps),
      onDoubt: (why, path) => this.#gaps.add('archive-doubtful', `${why} (${path})`),
    });
  }

  /** Reads all layers and merges them from the lowest up. */
  async readLayers(): Promise<void> {
    const { layers, elsewhere, limits } = this.#work;
    const { diffIds, os } = this.#config;
    const algorithmOf = (at: number): 'sha256' | 'sha512' =>
      String(diffIds?.[at]).startsWith('sha512:') ? 'sha512' : 'sha256';
    const positions = layers.flatMap((layer, at) => {
      const gap = gapOf(layer, new Set(elsewhere));
      if (gap === undefined) return [at];
      this.#gaps.add(...gap);
      return [];
    });
    // The largest first, so that the last to end is a small one.
    positions.sort((one, other) => (layers[other]?.size ?? 0) - (layers[one]?.size ?? 0));
    await inParallel(positions, limits.layersAtOnce, async (at) => {
      const layer = layers[at];
      if (layer !== undefined) this.#readings[at] = await this.#reader.read(layer, algorithmOf(at));
    });
    for (const [at, layer] of layers.entries()) {
      const reading = this.#readings[at];
      if (reading === undefined) continue;
      if (diffIds !== undefined) checkDiffId(layer, reading.diffId, diffIds[at]);
      for (const { cause, detail, path } of reading.gaps) this.#gaps.add(cause, `${detail} (${path})`);
      this.#tree.apply(at, reading);
    }
    if (os === 'windows') this.#gaps.add('layer-unreadable', 'the image is for Windows, whose packages are not read');
  }

  /** Reads the files that catalogers want at their place, but not under their name in the archive: once for each layer. */
  async readWhereLinksLead(): Promise<void> {
    const { limits } = this.#work;
    const found = findFiles(this.#tree, this.#seenFiles(), CATALOGERS, limits.linkedPaths);
    this.#found = found;
    if (found.stoppedAt !== undefined) {
      this.#gaps.add('link-unresolved', `there are too many paths behind symbolic links (${found.stoppedAt})`);
    }
    const missing: [file: number, reader: string][] = [];
    const used = new Set<FileReading>();
    for (const { file, cataloger } of found.wanted) {
      const reading = this.#readingsOf(file).find((each) => each.cataloger === cataloger.name);
      if (reading === undefined) missing.push([file, cataloger.name]);
      else used.add(reading);
    }
    for (const file of found.others.keys()) {
      const seen = this.#readingsOf(file).filter(({ by, cataloger }) => by === 'content' || cataloger === RECOGNIZERS);
      if (seen.length === 0) missing.push([file, RECOGNIZERS]);
      else for (const reading of seen) used.add(reading);
    }
    this.#reader.takeCosts(used);
    await this.#readMore(missing);
  }

  /** Reads files once more, for readers that have not seen them: once for each layer. */
  async #readMore(files: readonly (readonly [file: number, reader: string])[]): Promise<void> {
    const { layers, limits } = this.#work;
    const missing: Map<number, Set<string>>[] = [];
    for (const [file, reader] of files) {
      const { layer, index } = this.#tree.placeOf(file);
      const ofLayer = (missing[layer] ??= new Map());
      ofLayer.set(index, (ofLayer.get(index) ?? new Set()).add(reader));
    }
    await inParallel([...missing.entries()], limits.layersAtOnce, async ([at, only]) => {
      const [layer, reading] = [layers[at], this.#readings[at]];
      if (layer === undefined || reading === undefined || only === undefined) return;
      this.#readings[at] = await this.#reader.readMore(layer, reading, only);
      this.#byIndex.delete(at);
    });
  }

  /** What the catalogers say of all files at their places. */
  async catalog(): Promise<Omit<Parameters<typeof makeSboms>[0], 'name' | 'digest'>> {
    const files = this.#filesOfCatalogers();
    const located: (FoundPackage & { cataloger: Cataloger })[] = [];
    const doubtful: (FoundGap & { cataloger: Cataloger })[] = [];
    for (const cataloger of CATALOGERS) {
      const found = (files.get(cataloger) ?? []).sort((one, other) => (one.path < other.path ? -1 : 1));
      for (const { path, reading } of found)
        for (const gap of reading.gaps ?? []) doubtful.push({ ...gap, path, cataloger });
      const combined = cataloger.combine?.(found, { has: (path) => this.#tree.hasFile(path) });
      for (const gap of combined?.gaps ?? []) doubtful.push({ ...gap, cataloger });
      for (const each of combined?.packages ?? found.flatMap(packagesAt)) located.push({ ...each, cataloger });
    }
    const layers = this.#work.layers.map(({ digest }) => digest);
    const found = { packages: located, gaps: doubtful };
    const compare = (): ReturnType<typeof compareOwners<(typeof located)[number], (typeof doubtful)[number]>> =>
      compareOwners(found, this.#found?.programs ?? [], this.#tree, layers, this.#digests());
    let compared = compare();
    if (compared.unread.length > 0) {
      await this.#readMore(compared.unread.map((file) => [file, DIGESTS]));
      compared = compare();
    }
    const { packages, gaps, unowned } = compared;
    for (const { cataloger, cause, detail, path } of gaps) this.#gap(cataloger, cause, detail, path);
    for (const { cause, path } of unowned) this.#gaps.add(cause, path);
    const distro = distroOf(files);
    return {
      config: this.#config,
      ...(distro && { distro }),
      packages: packages.map(({ cataloger: _cataloger, ...found }) => found),
      gaps: this.#gaps,
      covered: CATALOGERS.filter(({ name }) => name !== 'os-release').map(({ name }) => name),
    };
  }

  #seenFiles(): SeenFiles {
    const read = new Set<number | undefined>();
    const programs = new Map<number | undefined, Pick<ProgramFile, 'interpreter'>>();
    for (const [layer, reading] of this.#readings.entries()) {
      for (const { index, by } of reading?.files ?? [])
        if (by !== 'link') read.add(this.#tree.fileOf({ layer, index }));
      for (const { index, interpreter } of reading?.programs ?? [])
        programs.set(this.#tree.fileOf({ layer, index }), { ...(interpreter !== undefined && { interpreter }) });
    }
    return { isRead: (file) => read.has(file), programOf: (file) => programs.get(file) };
  }

  #digests(): (file: number) => readonly string[] | undefined {
    const byLayer = this.#readings.map(
      (reading) => new Map(reading?.digests.map(({ index, digests }) => [index, digests])),
    );
    return (file) => {
      const { layer, index } = this.#tree.placeOf(file);
      return byLayer[layer]?.get(index);
    };
  }

  #gap(cataloger: Cataloger, cause: Parameters<Gaps['add']>[0], detail: string, path: string): void {
    this.#gaps.add(cause, `${cataloger.name}: ${detail} (${path})`);
  }

  #filesOfCatalogers(): Map<Cataloger, FoundFile[]> {
    const files = new Map<Cataloger, FoundFile[]>(CATALOGERS.map((cataloger) => [cataloger, []]));
    const found = this.#found ?? { wanted: [], others: new Map<number, string>(), unread: [], unresolved: [] };
    for (const { path, file, cataloger } of found.wanted) {
      const reading = this.#readingOf(file, cataloger);
      if (reading === undefined) this.#gap(cataloger, 'link-unresolved', 'a file that was not read', path);
      else files.get(cataloger)?.push({ path, layer: this.#layerOf(file), reading });
    }
    for (const [file, path] of found.others) {
      for (const { by, cataloger, reading } of this.#readingsOf(file)) {
        const recognizer = CATALOGERS.find(({ name }) => name === cataloger);
        if (cataloger === RECOGNIZERS)
          for (const { cause, detail } of reading.gaps ?? []) this.#gaps.add(cause, `${detail} (${path})`);
        if (by === 'content' && recognizer !== undefined)
          files.get(recognizer)?.push({ path, layer: this.#layerOf(file), reading });
      }
    }
    for (const { path, cataloger } of found.unresolved)
      this.#gap(cataloger, 'link-unresolved', 'a hard link that leads nowhere', path);
    for (const { path, ecosystem } of found.unread) this.#gaps.add('no-reader', `no reader for ${ecosystem} (${path})`);
    return files;
  }

  #layerOf(file: number): Digest {
    const digest = this.#work.layers[this.#tree.placeOf(file).layer]?.digest;
    if (digest === undefined) throw new Error('a file without a layer');
    return digest;
  }

  readonly #byIndex = new Map<number, ReadonlyMap<number, FileReading[]>>();

  #readingsOf(file: number): readonly FileReading[] {
    const { layer, index } = this.#tree.placeOf(file);
    let byIndex = this.#byIndex.get(layer);
    if (byIndex === undefined) {
      byIndex = Map.groupBy(this.#readings[layer]?.files ?? [], (each) => each.index);
      this.#byIndex.set(layer, byIndex);
    }
    return byIndex.get(index) ?? [];
  }

  #readingOf(file: number, { name }: Cataloger): FileReading['reading'] | undefined {
    return this.#readingsOf(file).find(({ cataloger }) => cataloger === name)?.reading;
  }
}

/** Why a layer is not read. */
function gapOf(layer: Descriptor, elsewhere: ReadonlySet<Digest>): Parameters<Gaps['add']> | undefined {
  const { digest, mediaType } = layer;
  if (elsewhere.has(digest)) return ['layer-elsewhere', `layer ${digest} is not in the registry (${mediaType})`];
  const why = whyUnreadable(layer);
  return why === undefined ? undefined : ['layer-unreadable', `layer ${digest} ${why}`];
}

/** Bytes of the layers that are read, each once. */
function packedBytesOf({ layers, elsewhere }: ImageWork): number {
  const places = new Set(elsewhere);
  const sizes = new Map(layers.flatMap((layer) => (gapOf(layer, places) ? [] : [[layer.digest, layer.size]])));
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}

/** Does work on all items. The first failure is thrown at once: the caller ends what still runs. */
async function inParallel<T>(items: readonly T[], limit: number, work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const workNext = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  const run = async (): Promise<void> => {
    try {
      await workNext();
    } catch (error) {
      left.length = 0;
      throw error;
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, limit) }, run));
}

function distroOf(files: ReadonlyMap<Cataloger, readonly FoundFile[]>): Distro | undefined {
  const found = [...files.values()].flat().filter(({ reading }) => reading.distro !== undefined);
  for (const wanted of OS_RELEASE_PATHS) {
    const distro = found.find(({ path }) => path === wanted)?.reading.distro;
    if (distro !== undefined) return distro;
  }
  return undefined;
}

/**
 * containerd unpacks a layer by its media type, other runtimes by its first bytes, so one blob can contain two
 * archives. All of them refuse a layer that does not match its config.
 * @throws InputError `IMAGE_CONFIG_MISMATCH`
 */
function checkDiffId({ digest }: Descriptor, unpacked: Digest, diffId: unknown): void {
  if (unpacked === diffId) return;
  throw new InputError(
    'IMAGE_CONFIG_MISMATCH',
    `layer ${digest} unpacks to ${unpacked}, but the image's config lists another digest`,
    { remedy: 'Rebuild the image: its config must list the digest of each unpacked layer.' },
  );
}
