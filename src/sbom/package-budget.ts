import type { Reading } from './catalogers/cataloger.js';
import { overLimit } from './sbom-errors.js';
import type { SbomLimits } from './limits.js';

/** The counts so far. */
export interface PackageCounts {
  packages: number;
  chars: number;
  readBytes: number;
}

/** Counts packages while they are found, because a layer may have millions. */
export class PackageBudget {
  readonly #limits: SbomLimits;
  #packages = 0;
  #chars = 0;
  #readBytes = 0;

  constructor(
    limits: SbomLimits,
    { packages, chars, readBytes }: PackageCounts = { packages: 0, chars: 0, readBytes: 0 },
  ) {
    this.#limits = limits;
    this.#packages = packages;
    this.#chars = chars;
    this.#readBytes = readBytes;
  }

  get counts(): PackageCounts {
    return { packages: this.#packages, chars: this.#chars, readBytes: this.#readBytes };
  }

  /**
   * The budget for another pass over the same layer: packages of the previous pass are not counted twice, but bytes
   * read are.
   */
  again(before: PackageBudget): PackageBudget {
    return new PackageBudget(this.#limits, {
      packages: this.#packages,
      chars: this.#chars,
      readBytes: before.#readBytes,
    });
  }

  /** @throws InputError `SBOM_LIMIT` */
  add({ packages = [], gaps = [] }: Reading, path: string): void {
    this.#packages += packages.length;
    for (const { name, version, licenses = [] } of packages) {
      this.#chars += licenses.reduce((sum, text) => sum + text.length, name.length + version.length + path.length);
    }
    this.#chars += gaps.length * path.length;
    if (this.#packages > this.#limits.packages) {
      throw overLimit('packages', 'the image has more packages', this.#limits.packages);
    }
    if (this.#chars > this.#limits.packageChars) {
      throw overLimit('packageChars', 'what is kept of its packages has more characters', this.#limits.packageChars);
    }
  }

  /** @throws InputError `SBOM_LIMIT` */
  addRead(bytes: number): void {
    this.#readBytes += bytes;
    if (this.#readBytes > this.#limits.readBytes) {
      throw overLimit('readBytes', 'its package databases and manifests have more bytes', this.#limits.readBytes);
    }
  }
}
