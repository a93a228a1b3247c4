/** Limits for one file, with all archives inside it. A file that exceeds one is a gap. */
export const ZIP_LIMITS = {
  /** Headers of entries, twice for each entry. Archives with a whole platform have 200,000. */
  headers: 2_000_000,
  /** Bytes of central directories and wanted entries that are in memory at the same time. */
  heldBytes: 32 * 1024 ** 2,
  /** Inflated bytes of the wanted entries, besides {@link ZIP_LIMITS.inflatedRatio}. */
  inflatedBytes: 64 * 1024 ** 2,
  /** Inflated bytes for each byte of the file. Archives hardly shrink when they are compressed again. */
  inflatedRatio: 20,
} as const;

/** {@link ZIP_LIMITS}, or other values. */
export type ZipLimits = { readonly [Name in keyof typeof ZIP_LIMITS]: number };

/** A file exceeds a limit of {@link ZIP_LIMITS}. The message is for people. */
export class ZipLimitError extends Error {}

/** Counts what the archives of one file cost. */
export class ZipBudget {
  readonly #limits: ZipLimits;
  readonly #mostInflated: number;
  #headers = 0;
  #held = 0;
  #inflated = 0;

  /** @param size of the file */
  constructor(size: number, limits: ZipLimits = ZIP_LIMITS) {
    this.#limits = limits;
    this.#mostInflated = limits.inflatedBytes + limits.inflatedRatio * size;
  }

  takeHeader(): void {
    this.#headers += 1;
    if (this.#headers > this.#limits.headers) throw new ZipLimitError(`more than ${this.#limits.headers} headers`);
  }

  /** Counts bytes that stay in memory until they are given back with a negative count. */
  hold(count: number): void {
    const { heldBytes } = this.#limits;
    this.#held += count;
    if (this.#held > heldBytes) throw new ZipLimitError(`directories and manifests of more than ${heldBytes} bytes`);
  }

  takeInflated(count: number): void {
    this.#inflated += count;
    if (this.#inflated > this.#mostInflated) {
      throw new ZipLimitError(`inflates to more than ${this.#mostInflated} bytes`);
    }
  }
}
