import { deserialize, serialize } from 'node:v8';
import { isRecord } from '../oci/index.js';
import type { CatalogState } from './catalog.js';
import type { SbomInput } from './generator.js';
import { TOOL } from './tool.js';

/** Of what is kept; other versions begin anew. */
const VERSION = `${TOOL.version}/1`;
/** How often it is kept, in milliseconds, and how many bytes it may have: what is larger is not kept. */
const KEEP_EVERY_MS = 20_000;
const MOST_BYTES = 48 * 1024 * 1024;

/** What was gathered of an image, and how many of its layers are in it, from the top down. */
export interface KeptLayers {
  layers: number;
  catalog: CatalogState;
}

/**
 * Keeps what the layers read so far have given, so that whoever makes the SBOM after a crash, or when time is over, reads on below them.
 */
export class LayerKeeper {
  readonly #input: SbomInput;
  #keptMs = performance.now();

  constructor(input: SbomInput) {
    this.#input = input;
  }

  /** Undefined if nothing is kept of this image by this version. */
  async read(): Promise<KeptLayers | undefined> {
    const bytes = await this.#input.kept?.read();
    if (bytes === undefined) return undefined;
    try {
      const kept: unknown = deserialize(bytes);
      const { digest } = this.#input.descriptor;
      // This version wrote it, whole: documents are replaced as a whole.
      if (!isRecord(kept) || kept.version !== VERSION || kept.image !== digest) return undefined;
      return kept as unknown as KeptLayers;
    } catch {
      return undefined;
    }
  }

  /** After a layer: keeps what was gathered, if that is some time ago. */
  async keep(layers: number, catalog: CatalogState): Promise<void> {
    const { kept, descriptor } = this.#input;
    if (kept === undefined || performance.now() - this.#keptMs < (kept.everyMs ?? KEEP_EVERY_MS)) return;
    const bytes = serialize({ version: VERSION, image: descriptor.digest, layers, catalog });
    this.#keptMs = performance.now();
    if (bytes.length <= MOST_BYTES) await kept.write(bytes);
  }
}
