import { createHash } from 'node:crypto';
import { deserialize, serialize } from 'node:v8';
import type { Descriptor, DigestAlgorithm } from '../../oci/index.js';
import type { Budget, Counts } from '../budget.js';
import type { Cataloger } from '../catalogers/cataloger.js';
import {
  readLayer,
  type FileReading,
  type LayerOptions,
  type LayerReading,
  type OpenLayer,
} from '../layers/layer-reading.js';
import type { SbomLimits } from '../limits.js';
import { TOOL_VERSION } from '../tool.js';
import { MemoryPermit, MemoryTaken } from './memory-permit.js';

/** The blobs of an image, and what is kept of layers that were read before. */
export interface BlobSource {
  readonly open: OpenLayer;
  readKept(key: string): Promise<Uint8Array | undefined>;
  writeKept(key: string, bytes: Uint8Array): Promise<void>;
  /** A kept layer is used, so that its bytes are not fetched. */
  skip(layer: Descriptor): void;
}

/** Raised when the shape of a {@link LayerReading} changes. */
const SHAPE = 11;
const HASH_BYTES = 32;

/** Reads the layers of one image, each once, or takes what an earlier call has kept of it. */
export class LayerReader {
  readonly #blobs: BlobSource;
  readonly #catalogers: readonly Cataloger[];
  readonly #limits: SbomLimits;
  readonly #budget: Budget;
  readonly #version: string;
  readonly #readings = new Map<string, Promise<LayerReading>>();
  readonly #memory = new MemoryPermit();

  constructor(blobs: BlobSource, catalogers: readonly Cataloger[], limits: SbomLimits, budget: Budget) {
    this.#blobs = blobs;
    this.#catalogers = catalogers;
    this.#limits = limits;
    this.#budget = budget;
    // Another version may give another reading. All other limits are compared with the counts of the reading.
    const { pathBytes, headerBytes, zstdWindowBytes } = limits;
    const names = catalogers.map(({ name }) => name);
    const read = JSON.stringify([SHAPE, TOOL_VERSION, names, pathBytes, headerBytes, zstdWindowBytes]);
    this.#version = createHash('sha256').update(read).digest('hex').slice(0, 16);
  }

  /** Reads a layer. A manifest may list one layer many times: it is read once. */
  async read(layer: Descriptor, algorithm: DigestAlgorithm): Promise<LayerReading> {
    const key = this.#keyOf(layer, algorithm);
    const reading = this.#readings.get(key) ?? this.#readOnce(layer, algorithm, key);
    this.#readings.set(key, reading);
    return await reading;
  }

  /** Reads a layer once more, for files that its first reading lacks. */
  async readMore(
    layer: Descriptor,
    reading: LayerReading,
    only: NonNullable<LayerOptions['only']>,
  ): Promise<LayerReading> {
    const algorithm = reading.diffId.startsWith('sha512:') ? 'sha512' : 'sha256';
    const more = await this.#readNow(layer, algorithm, only);
    const files = [...reading.files, ...more.files];
    const digests = [...reading.digests, ...more.digests];
    const whole = { ...reading, files, digests };
    await this.#keep(this.#keyOf(layer, algorithm), whole);
    return whole;
  }

  /** Counts what other images have needed of kept layers, as if it were read now. */
  takeCosts(readings: Iterable<FileReading>): void {
    for (const { cost = {} } of readings)
      for (const [name, amount] of Object.entries(cost)) this.#budget.take(name as keyof Counts, amount);
  }

  async #readOnce(layer: Descriptor, algorithm: DigestAlgorithm, key: string): Promise<LayerReading> {
    const kept = parseKept(await this.#blobs.readKept(key));
    if (kept !== undefined) {
      this.#budget.takeAll(kept.counts);
      this.#blobs.skip(layer);
      return kept;
    }
    const reading = await this.#readNow(layer, algorithm);
    await this.#keep(key, reading);
    return reading;
  }

  async #readNow(layer: Descriptor, algorithm: DigestAlgorithm, only?: LayerOptions['only']): Promise<LayerReading> {
    let end: (() => void) | undefined;
    const needMuchMemory = async (user: 'layer' | 'file'): Promise<() => void> => {
      if (end === undefined && user === 'file') return await this.#memory.takeForFile();
      end ??= this.#memory.takeForOpenLayer();
      return () => {};
    };
    try {
      for (;;) {
        const budget = only === undefined ? this.#budget.layer() : this.#budget.layerAgain();
        try {
          return await readLayer(layer, algorithm, this.#blobs.open, {
            catalogers: this.#catalogers,
            limits: this.#limits,
            budget,
            needMuchMemory,
            ...(only && { only }),
          });
        } catch (error) {
          if (!(error instanceof MemoryTaken)) throw error;
          budget.giveBack();
          end = await this.#memory.takeForLayer();
        }
      }
    } finally {
      end?.();
    }
  }

  /** Layers are unpacked by media type, so the type is part of the key. */
  #keyOf({ digest, mediaType }: Descriptor, algorithm: DigestAlgorithm): string {
    const type = createHash('sha256').update(mediaType).digest('hex').slice(0, 8);
    return `${digest.replace(':', '-')}-${type}-${algorithm}-${this.#version}`;
  }

  async #keep(key: string, reading: LayerReading): Promise<void> {
    const bytes = serialize(reading);
    if (HASH_BYTES + bytes.length > this.#limits.keptLayerBytes) return;
    await this.#blobs.writeKept(key, Buffer.concat([createHash('sha256').update(bytes).digest(), bytes]));
  }
}

/** Undefined if there is nothing, or if it is damaged. */
function parseKept(kept: Uint8Array | undefined): LayerReading | undefined {
  if (kept === undefined || kept.length <= HASH_BYTES) return undefined;
  const bytes = kept.subarray(HASH_BYTES);
  const hash = createHash('sha256').update(bytes).digest();
  // The key contains the version of the app, so the data has the shape that this version wrote.
  return hash.equals(kept.subarray(0, HASH_BYTES)) ? (deserialize(bytes) as LayerReading) : undefined;
}
