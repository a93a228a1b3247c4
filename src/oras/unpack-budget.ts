import { IntegrityError } from '../oci/index.js';
import { ORAS_LIMITS } from './limits.js';

/** How many bytes one pull may make out of those that it downloads: what archives unpack to, and copies of what it has. */
export class UnpackBudget {
  readonly #limitBytes: number;
  #takenBytes = 0;

  /**
   * @param downloadedBytes of all blobs: the bound is in proportion to them, and there is a fixed one
   * @param limitBytes another bound, in place of both
   */
  constructor(downloadedBytes: number, limitBytes?: number) {
    const inProportion = Math.max(ORAS_LIMITS.unpackFreeBytes, downloadedBytes * ORAS_LIMITS.unpackRatio);
    this.#limitBytes = limitBytes ?? Math.min(ORAS_LIMITS.unpackBytes, inProportion);
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
