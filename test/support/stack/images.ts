import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import {
  OCI_IMAGE_CONFIG,
  OCI_IMAGE_INDEX,
  OCI_IMAGE_MANIFEST,
  digestOf,
  type Descriptor,
} from '../../../src/oci/index.js';

/** Writes OCI layouts for tests, blob by blob. */
export class LayoutWriter {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  async blob(bytes: Uint8Array, mediaType: string): Promise<Descriptor> {
    const digest = digestOf(bytes);
    const folder = join(this.folder, 'blobs', 'sha256');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, digest.slice('sha256:'.length)), bytes);
    return { mediaType, digest, size: bytes.length };
  }

  json(value: unknown, mediaType: string): Promise<Descriptor> {
    return this.blob(Buffer.from(JSON.stringify(value)), mediaType);
  }

  /** An image of one layer with these files. */
  async image(files: Record<string, string>, architecture: string): Promise<Descriptor> {
    const tar = await tarOf(files);
    const layer = await this.blob(gzipSync(tar), 'application/vnd.oci.image.layer.v1.tar+gzip');
    const config = await this.json(
      {
        created: '2026-01-02T03:04:05Z',
        architecture,
        os: 'linux',
        config: {},
        rootfs: { type: 'layers', diff_ids: [digestOf(tar)] },
      },
      OCI_IMAGE_CONFIG,
    );
    const manifest = { schemaVersion: 2, mediaType: OCI_IMAGE_MANIFEST, config, layers: [layer] };
    return { ...(await this.json(manifest, OCI_IMAGE_MANIFEST)), platform: { architecture, os: 'linux' } };
  }

  /** What buildx adds for provenance: a manifest of unknown platform that names the image by annotation. */
  async attestation(of: Descriptor): Promise<Descriptor> {
    const statement = {
      _type: 'https://in-toto.io/Statement/v0.1',
      predicateType: 'https://slsa.dev/provenance/v0.2',
      subject: [],
      predicate: {},
    };
    const layer = {
      ...(await this.json(statement, 'application/vnd.in-toto+json')),
      annotations: { 'in-toto.io/predicate-type': 'https://slsa.dev/provenance/v0.2' },
    };
    const config = await this.json(
      { architecture: 'unknown', os: 'unknown', config: {}, rootfs: { type: 'layers', diff_ids: [layer.digest] } },
      OCI_IMAGE_CONFIG,
    );
    const manifest = { schemaVersion: 2, mediaType: OCI_IMAGE_MANIFEST, config, layers: [layer] };
    return {
      ...(await this.json(manifest, OCI_IMAGE_MANIFEST)),
      annotations: { 'vnd.docker.reference.digest': of.digest, 'vnd.docker.reference.type': 'attestation-manifest' },
      platform: { architecture: 'unknown', os: 'unknown' },
    };
  }

  index(manifests: readonly Descriptor[]): Promise<Descriptor> {
    return this.json({ schemaVersion: 2, mediaType: OCI_IMAGE_INDEX, manifests }, OCI_IMAGE_INDEX);
  }

  /** Finishes the layout: this is its one entry. */
  async finish(root: Descriptor, tag = 'v1'): Promise<string> {
    const entry = { ...root, annotations: { ...root.annotations, 'org.opencontainers.image.ref.name': tag } };
    await writeFile(join(this.folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
    await writeFile(
      join(this.folder, 'index.json'),
      JSON.stringify({ schemaVersion: 2, mediaType: OCI_IMAGE_INDEX, manifests: [entry] }),
    );
    return root.digest;
  }
}

async function tarOf(files: Record<string, string>): Promise<Buffer> {
  const tar = pack();
  for (const [name, text] of Object.entries(files)) tar.entry({ name, mtime: new Date(0) }, text);
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks);
}

/** A single-platform image with one npm package and one text file. @returns the digest */
export async function writeImage(folder: string, seed: string): Promise<string> {
  const layout = new LayoutWriter(folder);
  const image = await layout.image(
    {
      'app/readme.txt': seed,
      'app/node_modules/left-pad/package.json': JSON.stringify({
        name: 'left-pad',
        version: '1.3.0',
        license: 'WTFPL',
      }),
    },
    'amd64',
  );
  const { platform: _platform, ...root } = image;
  return layout.finish(root);
}

/** Two platforms, each with buildx's provenance. @returns the digest of the index */
export async function writeIndexWithProvenance(folder: string): Promise<string> {
  const layout = new LayoutWriter(folder);
  const amd = await layout.image({ 'amd.txt': 'amd64' }, 'amd64');
  const arm = await layout.image({ 'arm.txt': 'arm64' }, 'arm64');
  const manifests = [amd, arm, await layout.attestation(amd), await layout.attestation(arm)];
  return layout.finish(await layout.index(manifests));
}
