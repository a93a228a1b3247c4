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

/** The counts so far, by limit, and the packed bytes that were read. */
export type Counts = Record<Counted | 'packedBytes', number>;

const NOTHING: Counts = {
  packedBytes: 0,
  unpackedBytes: 0,
  zstdFrames: 0,
  entries: 0,
  rememberedBytes: 0,
  readBytes: 0,
  packages: 0,
  packageChars: 0,
};

/**
 * Counts what the layers of one image cost while they are read, because a few kilobytes may unpack to gigabytes or to millions of
 * packages. The limits apply to the whole image, because a manifest may list one layer a thousand times.
 */
export class Budget {
  /** Serializable, and may be set back to earlier values. */
  readonly counts: Counts;
  readonly #limits: SbomLimits;

  /** @param counts of an earlier call for the same image */
  constructor(limits: SbomLimits, counts: Counts = NOTHING) {
    this.#limits = limits;
    this.counts = { ...counts };
  }

  /** @throws InputError `SBOM_LIMIT` */
  take(name: Counted, amount = 1): void {
    this.counts[name] += amount;
    if (this.counts[name] > this.#limits[name]) throw overLimit(name, COUNTED[name], this.#limits[name]);
  }

  giveBack(name: Counted, amount: number): void {
    this.counts[name] -= amount;
  }

  /** Counts a frame of a zstd layer. @throws InputError `SBOM_LIMIT` */
  takeFrame(windowBytes: number): void {
    const { zstdWindowBytes } = this.#limits;
    if (windowBytes > zstdWindowBytes) {
      throw overLimit('zstdWindowBytes', `a zstd layer needs a window of ${windowBytes} bytes: more`, zstdWindowBytes);
    }
    this.take('zstdFrames');
  }

  /** Counts the bytes of a layer before it is unpacked. */
  async *packed(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const bytes of source) {
      this.counts.packedBytes += bytes.length;
      yield bytes;
    }
  }

  /**
   * Counts the bytes of a layer after it is unpacked. Beyond `freeUnpackedBytes`, for files of zeros, they are also limited by the
   * packed bytes.
   * @throws InputError `SBOM_LIMIT`
   */
  async *unpacked(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const { freeUnpackedBytes, unpackedRatio } = this.#limits;
    for await (const bytes of source) {
      this.take('unpackedBytes', bytes.length);
      const { packedBytes, unpackedBytes } = this.counts;
      if (unpackedBytes > freeUnpackedBytes + unpackedRatio * packedBytes) {
        const what = `${packedBytes} bytes of layers unpack to over ${unpackedBytes}: more bytes for each packed one`;
        throw overLimit('unpackedRatio', what, unpackedRatio);
      }
      yield bytes;
    }
  }
}
