import { createHash } from 'node:crypto';
import { lstat, mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { digestOf, EMPTY_DESCRIPTOR, OCI_IMAGE_MANIFEST, type Descriptor } from 'acr-promoter/oci';
import type { MemoryRepository } from './memory-repository.js';

/** A folder of its own for a test file, gone after it. */
export async function withFolder<T>(work: (path: string) => Promise<T>): Promise<T> {
  const path = await mkdtemp(join(tmpdir(), 'oras-files-'));
  try {
    return await work(path);
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}

/** Every path below a folder with what it is: a digest of its bytes, a link's target, or `/`. */
export async function treeOf(folder: string, path = ''): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const name of (await readdir(join(folder, path))).toSorted()) {
    const below = path === '' ? name : `${path}/${name}`;
    const at = join(folder, below);
    const status = await lstat(at);
    if (status.isDirectory()) Object.assign(found, { [below]: '/' }, await treeOf(folder, below));
    else if (status.isSymbolicLink()) found[below] = `-> ${await readlink(at)}`;
    else if (status.size < 100) found[below] = await readFile(at, 'utf8');
    else
      found[below] = createHash('sha256')
        .update(await readFile(at))
        .digest('hex');
  }
  return found;
}

export type TarEntry = Parameters<ReturnType<typeof pack>['entry']>[0] & { body?: string | Uint8Array };

export async function tarOf(entries: readonly TarEntry[]): Promise<Buffer> {
  const archive = pack();
  const bytes = buffer(archive);
  for (const { body, ...header } of entries) {
    await new Promise<void>((resolve, reject) => {
      const done = (error?: Error | null): void => (error ? reject(error) : resolve());
      if (body === undefined) archive.entry(header, done);
      else archive.entry(header, body, done);
    });
  }
  archive.finalize();
  return bytes;
}

export interface LayerInput {
  title?: string;
  bytes: Uint8Array;
  mediaType?: string;
  annotations?: Record<string, string>;
}

export const UNPACKED = { 'io.deis.oras.content.unpack': 'true' };

/** A folder's layer as somebody who is not us may have made it. */
export async function folderLayer(title: string, entries: readonly TarEntry[]): Promise<LayerInput> {
  return { title, bytes: gzipSync(await tarOf(entries)), annotations: UNPACKED };
}

/** Puts an artifact with these layers, whatever they are. */
export async function putArtifact(
  repository: MemoryRepository,
  layers: readonly LayerInput[],
  options: { tag?: string; subject?: Descriptor; config?: { mediaType: string; bytes: Uint8Array } } = {},
): Promise<Descriptor> {
  const empty = { mediaType: EMPTY_DESCRIPTOR.mediaType, bytes: Buffer.from('{}') };
  const config = options.config ?? empty;
  const describeBytes = ({ title, bytes, mediaType = 'text/plain', annotations }: LayerInput): Descriptor => ({
    mediaType,
    digest: digestOf(bytes),
    size: bytes.length,
    annotations: { ...annotations, ...(title !== undefined && { 'org.opencontainers.image.title': title }) },
  });
  for (const { bytes } of [...layers, config]) repository.blobs.set(digestOf(bytes), bytes);
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_IMAGE_MANIFEST,
    artifactType: 'test/example',
    config: { mediaType: config.mediaType, digest: digestOf(config.bytes), size: config.bytes.length },
    layers: layers.map(describeBytes),
    ...(options.subject && { subject: options.subject }),
  };
  return repository.pushManifest(Buffer.from(JSON.stringify(manifest)), OCI_IMAGE_MANIFEST, {
    ...(options.tag !== undefined && { tag: options.tag }),
  });
}
