import type { SbomLimits } from './limits.js';
import { overLimit } from './sbom-errors.js';

/** The limits on what is counted over all layers of an image, with the text of their errors. */
const COUNTED = {
  unpackedBytes: 'the layers unpack to more bytes',
  zstdFrames: 'the layers have more zstd frames',
  entries: 'the layers have more archive entries',
  rememberedBytes: 'the paths of its layers take more memory',
  readBytes: 'its package databases and manifests have more bytes',
  packages: 'the image has more packages',
  packageChars: 'the names, versions and paths of its packages have more characters',
} as const;
type Counted = keyof typeof COUNTED;

/** Counts that are the same whichever files of a layer are read. */
const STREAMED: ReadonlySet<string> = new Set<keyof Counts>([
  'unpackedBytes',
  'zstdFrames',
  'entries',
  'rememberedBytes',
]);

/** The counts so far, by limit. */
export type Counts = Record<Counted, number>;

const NAMES = Object.keys(COUNTED) as Counted[];

function nothing(): Counts {
  return Object.fromEntries(NAMES.map((name) => [name, 0])) as Counts;
}

/**
 * Counts what the layers of one image cost while they are read, because a few kilobytes may unpack to gigabytes or to
 * millions of packages. The limits apply to the whole image, because a manifest may list hundreds of layers.
 */
export class Budget {
  readonly #counts: Counts = nothing();
  readonly #limits: SbomLimits;
  readonly #packedBytes: number;

  /**
   * @param packedBytes of all layers that are read, as the manifest states them. They are known before any layer is
   * read, so that the result does not depend on the order in which layers arrive.
   */
  constructor(limits: SbomLimits, packedBytes: number) {
    this.#limits = limits;
    this.#packedBytes = packedBytes;
  }

  /** The budget of one layer, which counts for the image as well. */
  layer(): LayerBudget {
    return new LayerBudget(this);
  }

  /**
   * The budget of a layer that is read once more, for files that its first reading lacks. The stream counts only by
   * itself, so that the counts of an image do not depend on what other images have needed of its layers.
   */
  layerAgain(): LayerBudget {
    return new LayerBudget(this, new Budget(this.#limits, this.#packedBytes));
  }

  /** @throws InputError `SBOM_LIMIT` */
  take(name: keyof Counts, amount = 1): void {
    this.#counts[name] += amount;
    if (this.#counts[name] > this.#limits[name]) throw overLimit(name, COUNTED[name], this.#limits[name]);
    if (name === 'unpackedBytes') this.#checkRatio();
  }

  /** Counts a layer that was read before. @throws InputError `SBOM_LIMIT` */
  takeAll(counts: Counts): void {
    for (const name of NAMES) this.take(name, counts[name]);
  }

  /**
   * Above `freeUnpackedBytes`, which allows files of zeros, unpacked bytes are limited to a multiple of the packed
   * ones.
   */
  #checkRatio(): void {
    const { freeUnpackedBytes, unpackedRatio } = this.#limits;
    const { unpackedBytes } = this.#counts;
    if (unpackedBytes <= freeUnpackedBytes + unpackedRatio * this.#packedBytes) return;
    const what = `${this.#packedBytes} bytes of layers unpack to over ${unpackedBytes}: more bytes for each packed one`;
    throw overLimit('unpackedRatio', what, unpackedRatio);
  }
}

/** Counts what one layer costs. */
export class LayerBudget {
  readonly counts: Counts = nothing();
  readonly #image: Budget;
  readonly #stream: Budget | undefined;

  /** @param stream counts the stream, if the image does not */
  constructor(image: Budget, stream?: Budget) {
    this.#image = image;
    this.#stream = stream;
  }

  /** @throws InputError `SBOM_LIMIT` */
  take(name: keyof Counts, amount = 1): void {
    if (this.#stream !== undefined && STREAMED.has(name)) {
      this.#stream.take(name, amount);
      return;
    }
    this.counts[name] += amount;
    this.#image.take(name, amount);
  }

  /** Takes back what the layer has cost so far, because it is read again from its start. */
  giveBack(): void {
    for (const name of NAMES) this.#image.take(name, -this.counts[name]);
  }

  /**
   * Counts the bytes of the layer after it is unpacked.
   * @throws InputError `SBOM_LIMIT`
   */
  async *unpacked(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const bytes of source) {
      this.take('unpackedBytes', bytes.length);
      yield bytes;
    }
  }
}
