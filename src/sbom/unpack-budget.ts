import { overLimit } from './sbom-errors.js';
import type { SbomLimits } from './limits.js';

/** The counts so far. */
export interface UnpackCounts {
  packed: number;
  unpacked: number;
  frames: number;
  headers: number;
}

/**
 * Counts what the layers of one image unpack to. A few kilobytes can unpack to gigabytes, so beyond `freeUnpackedBytes`
 * the unpacked bytes are limited by the packed bytes read. The limits apply to the whole image, because a manifest may
 * list one layer a thousand times.
 */
export class UnpackBudget {
  readonly #limits: SbomLimits;
  #packed: number;
  #unpacked: number;
  #frames: number;
  #headers: number;

  constructor(limits: SbomLimits, counts: UnpackCounts = { packed: 0, unpacked: 0, frames: 0, headers: 0 }) {
    this.#limits = limits;
    this.#packed = counts.packed;
    this.#unpacked = counts.unpacked;
    this.#frames = counts.frames;
    this.#headers = counts.headers;
  }

  get counts(): UnpackCounts {
    return { packed: this.#packed, unpacked: this.#unpacked, frames: this.#frames, headers: this.#headers };
  }

  async *packed(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const bytes of source) {
      this.#packed += bytes.length;
      yield bytes;
    }
  }

  /** @throws InputError `SBOM_LIMIT` */
  async *unpacked(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const { unpackedBytes, freeUnpackedBytes, unpackedRatio } = this.#limits;
    for await (const bytes of source) {
      this.#unpacked += bytes.length;
      if (this.#unpacked > unpackedBytes) {
        throw overLimit('unpackedBytes', 'the layers unpack to more bytes', unpackedBytes);
      }
      if (this.#unpacked > freeUnpackedBytes + unpackedRatio * this.#packed) {
        const what = `${this.#packed} bytes of layers unpack to over ${this.#unpacked}: more bytes for each packed one`;
        throw overLimit('unpackedRatio', what, unpackedRatio);
      }
      yield bytes;
    }
  }

  /**
   * Counts a frame of a zstd layer.
   * @throws InputError `SBOM_LIMIT`
   */
  addFrame(windowBytes: number): void {
    const { zstdFrames, zstdWindowBytes } = this.#limits;
    if (windowBytes > zstdWindowBytes) {
      throw overLimit('zstdWindowBytes', `a zstd layer needs a window of ${windowBytes} bytes: more`, zstdWindowBytes);
    }
    this.#frames += 1;
    if (this.#frames > zstdFrames) throw overLimit('zstdFrames', 'the layers have more zstd frames', zstdFrames);
  }

  /**
   * Counts a header of a tar archive.
   * @throws InputError `SBOM_LIMIT`
   */
  addHeader(): void {
    this.#headers += 1;
    const { entries } = this.#limits;
    if (this.#headers > entries) throw overLimit('entries', 'the layers have more archive entries', entries);
  }
}
