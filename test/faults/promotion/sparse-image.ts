import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { BlobStore } from '../../../local/registry/storage/blobs.js';
import { openDatabase } from '../../../local/registry/storage/database.js';
import type { Descriptor } from '../../../src/oci/index.js';
import { tarHeader, tarPadding } from './large.js';

const CHUNK_BYTES = 1024 * 1024;
/** One chunk of so many is not empty, so that bytes at another place give another digest. */
const FILLED_EVERY = 64;

const EMPTY = Buffer.alloc(CHUNK_BYTES);

/** Chunks of a file, empty ones undefined. */
function* chunksOf(name: string, bytes: number): Generator<{ at: number; size: number; content: Buffer | undefined }> {
  for (let [at, index] = [0, 0]; at < bytes; at += CHUNK_BYTES, index += 1) {
    const size = Math.min(CHUNK_BYTES, bytes - at);
    const seed = createHash('sha256').update(`${name} ${at}`).digest();
    const content = index % FILLED_EVERY === 0 ? Buffer.alloc(size, seed) : undefined;
    yield { at, size, content };
  }
}

/**
 * Layers that a registry has on its disk before it starts: each a tar of one file, mostly of holes, so that twenty gigabytes take
 * some hundred megabytes there, and are in no process's memory.
 * @param folder the registry's
 */
export async function writeSparseLayers(
  folder: string,
  repository: string,
  count: number,
  fileBytes: number,
): Promise<Descriptor[]> {
  mkdirSync(join(folder, 'blobs'), { recursive: true });
  const database = openDatabase(folder);
  try {
    const blobs = new BlobStore(database, folder);
    const layers: Descriptor[] = [];
    for (let index = 0; index < count; index += 1) {
      const path = join(folder, 'blobs', `layer-${index}`);
      const { digest, size } = await writeSparseLayer(path, `data/sparse-${index}`, fileBytes);
      await blobs.adopt(repository, digest, path, size);
      layers.push({ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest, size });
    }
    return layers;
  } finally {
    database.close();
  }
}

async function writeSparseLayer(
  path: string,
  name: string,
  fileBytes: number,
): Promise<Pick<Descriptor, 'digest' | 'size'>> {
  const header = tarHeader(name, fileBytes);
  const padding = tarPadding(fileBytes);
  const size = header.length + fileBytes + padding.length;
  const hash = createHash('sha256').update(header);
  const file = await open(path, 'wx');
  try {
    await file.truncate(size);
    await file.write(header, 0, header.length, 0);
    for (const { at, size: length, content } of chunksOf(name, fileBytes)) {
      hash.update(content ?? EMPTY.subarray(0, length));
      if (content !== undefined) await file.write(content, 0, length, header.length + at);
    }
  } finally {
    await file.close();
  }
  return { digest: `sha256:${hash.update(padding).digest('hex')}`, size };
}
