import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { digestOf, OCI_IMAGE_CONFIG, OCI_IMAGE_MANIFEST, type Descriptor } from '../../../src/oci/index.js';
import { LayoutWriter } from '../../support/stack/images.js';

interface HeavyImage {
  /** Bytes of each layer. */
  layerBytes?: number;
  layers?: number;
}

/** An image that takes a moment: random bytes, which nothing compresses, and one npm package a layer. @returns the digest */
export async function writeHeavyImage(
  folder: string,
  name: string,
  { layerBytes = 12_000_000, layers: count = 1 }: HeavyImage = {},
): Promise<string> {
  const layout = new LayoutWriter(folder);
  const layers: Descriptor[] = [];
  const diffIds: string[] = [];
  for (let index = 0; index < count; index += 1) {
    const tar = await tarOf({
      [`data/random-${index}`]: randomBytes(layerBytes),
      [`app-${index}/node_modules/left-pad/package.json`]: Buffer.from(
        JSON.stringify({ name: 'left-pad', version: `1.3.${index}`, description: name }),
      ),
    });
    diffIds.push(digestOf(tar));
    layers.push(await layout.blob(gzipSync(tar, { level: 1 }), 'application/vnd.oci.image.layer.v1.tar+gzip'));
  }
  const config = await layout.json(
    { architecture: 'amd64', os: 'linux', config: {}, rootfs: { type: 'layers', diff_ids: diffIds } },
    OCI_IMAGE_CONFIG,
  );
  const manifest = { schemaVersion: 2, mediaType: OCI_IMAGE_MANIFEST, config, layers };
  return layout.finish(await layout.json(manifest, OCI_IMAGE_MANIFEST));
}

async function tarOf(files: Record<string, Buffer>): Promise<Buffer> {
  const tar = pack();
  for (const [name, bytes] of Object.entries(files)) tar.entry({ name, mtime: new Date(0) }, bytes);
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks);
}
