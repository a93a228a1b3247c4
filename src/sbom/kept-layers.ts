import { deserialize, serialize } from 'node:v8';
import { isRecord } from '../oci/index.js';
import type { CatalogState } from './catalog.js';
import type { SbomInput } from './generator.js';
import { TOOL } from './tool.js';

/** Version of the stored state. Another version starts over. */
const VERSION = `${TOOL.version}/2`;
/** Default milliseconds between two writes, and maximum bytes of the stored state; a larger state is not stored. */
const KEEP_EVERY_MS = 20_000;
const MOST_BYTES = 48 * 1024 * 1024;

/** The stored state of an image: what was found, and the number of layers read from the top down. */
export interface KeptLayers {
  layers: number;
  catalog: CatalogState;
}

/**
 * Stores what was found in the layers read so far, so that a call after a crash or a timeout continues with the layer
 * below.
 */
export class LayerKeeper {
  readonly #input: SbomInput;
  #keptMs = performance.now();

  constructor(input: SbomInput) {
    this.#input = input;
  }

  /** Undefined if nothing is stored for this image by this version. */
  async read(): Promise<KeptLayers | undefined> {
    const bytes = await this.#input.kept?.read();
    if (bytes === undefined) return undefined;
    try {
      const kept: unknown = deserialize(bytes);
      const { digest } = this.#input.descriptor;
      // The state was written by this version, and documents are replaced as a whole, so its shape is known.
      if (!isRecord(kept) || kept.version !== VERSION || kept.image !== digest) return undefined;
      return kept as unknown as KeptLayers;
    } catch {
      return undefined;
    }
  }

  /** Called after a layer. Stores the state if enough time has passed. */
  async keep(layers: number, catalog: CatalogState): Promise<void> {
    const { kept, descriptor } = this.#input;
    if (kept === undefined || performance.now() - this.#keptMs < (kept.everyMs ?? KEEP_EVERY_MS)) return;
    const bytes = serialize({ version: VERSION, image: descriptor.digest, layers, catalog });
    this.#keptMs = performance.now();
    if (bytes.length <= MOST_BYTES) await kept.write(bytes);
  }
}
