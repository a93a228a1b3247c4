import { once, PromoterError } from '../../src/oci/index.js';
import { SBOM_LIMITS } from '../../src/sbom/limits.js';
import { readTar } from '../../src/sbom/layers/tar.js';
import { unpackLayer } from '../../src/sbom/layers/unpack.js';
import { mutatedLayer, randomOf } from '../interop/layers/mutated-layers.js';

const TYPES = ['application/vnd.oci.image.layer.v1.tar', 'application/vnd.oci.image.layer.v1.tar+gzip'];

/** Layers to start from; the first byte chooses the media type. */
export function seeds(): Buffer[] {
  const random = randomOf(1);
  return Array.from({ length: 200 }, (_, index) => Buffer.concat([Buffer.from([index % 2]), mutatedLayer(random)]));
}

/** Any bytes are a layer or `LAYER_INVALID` or `SBOM_LIMIT`, and no entry has more content than the archive. */
export async function fuzz(input: Buffer): Promise<void> {
  const layer = { digest: `sha256:${'0'.repeat(64)}` as const, mediaType: TYPES[(input[0] ?? 0) % 2] ?? '' };
  let unpackedBytes = 0;
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const bytes of unpackLayer(once(input.subarray(1)), layer, () => {})) {
      unpackedBytes += bytes.length;
      // A small input that unpacks to much more is the budget's matter.
      if (unpackedBytes > 16 * 1024 ** 2) return;
      yield bytes;
    }
  }
  try {
    await readTar(counted(), layer.digest, SBOM_LIMITS, async (entry) => {
      let size = 0;
      for (let bytes = await entry.next(); bytes !== undefined; bytes = await entry.next()) size += bytes.length;
      if (size !== entry.size || size > unpackedBytes) throw new Error(`${entry.name} has ${size} bytes`);
    });
  } catch (error) {
    if (!(error instanceof PromoterError) || !/^(?:LAYER_INVALID|SBOM_LIMIT)$/.test(error.code)) throw error;
  }
}
