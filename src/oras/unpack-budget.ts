import { IntegrityError } from '../oci/index.js';

/** Bytes that the archives of one pull may unpack to, whatever their size. `TOO_LARGE` */
const UNPACK_BYTES = 16 * 1024 * 1024 * 1024;
/** Bytes that they may unpack to, however small they are. */
const UNPACK_FREE_BYTES = 64 * 1024 * 1024;
/** Bytes that they may unpack to for each that is downloaded, above that. `TOO_LARGE` */
const UNPACK_RATIO = 200;

/** How many bytes one pull may make out of those that it downloads: what archives unpack to, and copies of what it has. */
export class UnpackBudget {
  readonly #limitBytes: number;
  #takenBytes = 0;

  /**
   * @param downloadedBytes of all blobs: the bound is in proportion to them, and there is a fixed one
   * @param limitBytes another bound, in place of both
   */
  constructor(downloadedBytes: number, limitBytes?: number) {
    const inProportion = Math.max(UNPACK_FREE_BYTES, downloadedBytes * UNPACK_RATIO);
    this.#limitBytes = limitBytes ?? Math.min(UNPACK_BYTES, inProportion);
  }

  /** @throws IntegrityError `TOO_LARGE` */
  take(title: string, bytes: number): void {
    this.#takenBytes += bytes;
    if (this.#takenBytes <= this.#limitBytes) return;
    throw new IntegrityError('TOO_LARGE', `with ${title} more than ${this.#limitBytes} bytes are unpacked`, {
      details: { limitBytes: this.#limitBytes },
      remedy: 'If you trust it, allow more with --unpack-limit.',
    });
  }
}
