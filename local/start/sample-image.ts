import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import {
  OCI_IMAGE_CONFIG,
  OCI_IMAGE_INDEX,
  OCI_IMAGE_MANIFEST,
  digestOf,
  type Descriptor,
} from '../../src/oci/index.js';
import { sampleDpkgDatabase } from './sample-dpkg.js';
import { findCheckout, sampleNpmPackages, type SampleFile } from './sample-npm.js';

export interface SampleImage {
  /** The folder of the OCI image layout. */
  path: string;
  /** The digest of the image manifest. */
  digest: string;
  /** What could not be included, and why. */
  notes: string[];
}

const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip';
/** Fixed, so that the same packages give the same digest. */
const CREATED = new Date('2026-01-01T00:00:00Z');
const TAG = 'v1';

/** A tar archive whose bytes depend only on the files. */
async function tarOf(files: readonly SampleFile[]): Promise<Uint8Array> {
  const contents = new Map<string, Uint8Array | undefined>();
  for (const { path, bytes } of files) {
    for (let at = dirname(path); at !== '.'; at = dirname(at)) contents.set(`${at}/`, undefined);
    contents.set(path, bytes);
  }
  const archive = pack();
  for (const name of [...contents.keys()].sort()) {
    const bytes = contents.get(name);
    const header = { name, mtime: CREATED, uid: 0, gid: 0 };
    if (bytes === undefined) archive.entry({ ...header, type: 'directory', mode: 0o755 });
    else archive.entry({ ...header, mode: 0o644 }, Buffer.from(bytes));
  }
  archive.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of archive) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
}

/**
 * Writes an OCI image layout with a sample image: packages that npm installed in this checkout and, if this machine has
 * dpkg, a package that dpkg installed. The same checkout on the same machine gives the same digest. Replaces the
 * folder's content.
 */
export async function makeSampleImage(outDir: string): Promise<SampleImage> {
  const checkout = await findCheckout(dirname(fileURLToPath(import.meta.url)));
  const [debian, packages] = await Promise.all([sampleDpkgDatabase(checkout), sampleNpmPackages(checkout)]);
  const half = Math.ceil(packages.length / 2);
  const application: SampleFile[] = [
    { path: 'app/LICENSE', bytes: await readFile(join(checkout, 'LICENSE')) },
    { path: 'app/hello.txt', bytes: Buffer.from('An image to see promoted.\n') },
  ];
  const steps = [
    { by: 'dpkg --install', files: debian.files },
    { by: 'npm ci, the first half', files: packages.slice(0, half).flat() },
    { by: 'npm ci, the second half', files: packages.slice(half).flat() },
    { by: 'COPY the application', files: application },
  ].filter(({ files }) => files.length > 0);

  const blobs = join(outDir, 'blobs/sha256');
  await rm(join(outDir, 'blobs'), { recursive: true, force: true });
  await mkdir(blobs, { recursive: true });
  const put = async (mediaType: string, bytes: Uint8Array): Promise<Descriptor> => {
    const digest = digestOf(bytes);
    await writeFile(join(blobs, digest.slice('sha256:'.length)), bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const putJson = (mediaType: string, value: object): Promise<Descriptor> =>
    put(mediaType, Buffer.from(JSON.stringify(value)));

  const layers: Descriptor[] = [];
  const diffIds: string[] = [];
  for (const { files } of steps) {
    const archive = await tarOf(files);
    diffIds.push(digestOf(archive));
    layers.push(await put(LAYER, gzipSync(archive)));
  }
  const created = CREATED.toISOString();
  const platform = { os: 'linux', architecture: process.arch === 'x64' ? 'amd64' : process.arch };
  const config = await putJson(OCI_IMAGE_CONFIG, {
    created,
    ...platform,
    config: { WorkingDir: '/app' },
    rootfs: { type: 'layers', diff_ids: diffIds },
    history: steps.map(({ by }) => ({ created, created_by: by })),
  });
  const manifest = await putJson(OCI_IMAGE_MANIFEST, {
    schemaVersion: 2,
    mediaType: OCI_IMAGE_MANIFEST,
    config,
    layers,
  });
  const index = {
    schemaVersion: 2,
    mediaType: OCI_IMAGE_INDEX,
    manifests: [{ ...manifest, platform, annotations: { 'org.opencontainers.image.ref.name': TAG } }],
  };
  await writeFile(join(outDir, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  await writeFile(join(outDir, 'index.json'), JSON.stringify(index));
  return { path: outDir, digest: manifest.digest, notes: debian.note === undefined ? [] : [debian.note] };
}
