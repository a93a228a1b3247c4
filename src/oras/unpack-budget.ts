import { IntegrityError } from '../oci/index.js';

/** The most unpacked bytes of one pull. `TOO_LARGE` */
const UNPACK_BYTES = 16 * 1024 * 1024 * 1024;
/** Unpacked bytes that are always allowed. */
const UNPACK_FREE_BYTES = 64 * 1024 * 1024;
/** Above that: the most unpacked bytes for each downloaded byte. `TOO_LARGE` */
const UNPACK_RATIO = 200;

/** Bounds the bytes that one pull writes: unpacked archives and copies. */
export class UnpackBudget {
  readonly #limitBytes: number;
  #takenBytes = 0;

  /**
   * @param downloadedBytes of all blobs; the bound is proportional to them, with a fixed maximum
   * @param limitBytes replaces both bounds
   */
  constructor(downloadedBytes: number, limitBytes?: number) {
    const inProportion = Math.max(UNPACK_FREE_BYTES, downloadedBytes * UNPACK_RATIO);
    this.#limitBytes = limitBytes ?? Math.min(UNPACK_BYTES, inProportion);
  }

  /** @throws IntegrityError `TOO_LARGE` */
  take(title: string, bytes: number): void {
    this.#takenBytes += bytes;
    if (this.#takenBytes <= this.#limitBytes) return;
    throw new IntegrityError('TOO_LARGE', `${title} would unpack to more than the limit of ${this.#limitBytes} bytes`, {
      details: { limitBytes: this.#limitBytes },
      remedy: 'If you trust the artifact, raise --unpack-limit.',
    });
  }
}
