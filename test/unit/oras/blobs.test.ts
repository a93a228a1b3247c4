import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createRegistries, digestOf, openLayout, type BlobRepository, type RegistryClient } from 'acr-promoter/oci';
import { deleteBlob, fetchBlob, pushBlob, type Moving, type UploadProgress } from 'acr-promoter/oras';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRegistry, type RunningRegistry } from '../../../local/registry/server.js';
import { once, text } from '../../support/graphs.js';

let folder = '';
let registry: RunningRegistry;
let client: RegistryClient;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'oras-blobs-'));
  registry = await startRegistry({ dataDir: join(folder, 'registry'), anonymous: true });
  client = createRegistries({ credentials: { get: () => Promise.resolve({ kind: 'anonymous' }) } });
});
afterAll(async () => {
  await client.close();
  await registry.close();
  await rm(folder, { recursive: true, force: true });
});

const bytes = text('a blob');
const digest = digestOf(bytes);

async function read(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

describe.each<[string, () => Promise<BlobRepository>]>([
  ['a registry', () => Promise.resolve(client.repository(registry.name, 'samples/blobs'))],
  ['a layout', () => openLayout(join(folder, 'layout'), { create: true })],
])('in %s', (_name, open) => {
  let repository: BlobRepository;
  const states: string[] = [];
  let movedBytes = 0;
  const onProgress = (progress: UploadProgress | Moving): void => {
    if (progress.state === 'moving') movedBytes += progress.moreBytes;
    else states.push(progress.state);
  };
  beforeEach(async () => {
    repository = await open();
    states.length = 0;
    movedBytes = 0;
  });

  test('a blob is pushed, found by its digest, read and deleted', async () => {
    expect(await pushBlob(repository, () => once(bytes), { onProgress })).toEqual({
      mediaType: 'application/vnd.oci.image.layer.v1.tar',
      digest,
      size: bytes.length,
    });
    await pushBlob(repository, () => once(bytes), { onProgress, digest, size: bytes.length });
    expect(states).toEqual(['uploading', 'uploaded', 'exists']);
    // What is there is not moved.
    expect(movedBytes).toBe(bytes.length);
    const { descriptor, open: openBlob } = await fetchBlob(repository, digest);
    expect(descriptor).toEqual({ mediaType: 'application/octet-stream', digest, size: bytes.length });
    expect((await read(await openBlob())).equals(bytes)).toBe(true);
    expect(await deleteBlob(repository, digest, { confirm: () => Promise.resolve(false) })).toMatchObject({
      state: 'cancelled',
    });
    expect(await deleteBlob(repository, digest)).toEqual({ state: 'deleted', descriptor });
    expect(await repository.hasBlob(descriptor)).toBe(false);
    await expect(deleteBlob(repository, digest)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' });
    expect(await deleteBlob(repository, digest, { ignoreMissing: true })).toEqual({ state: 'missing' });
    await expect(fetchBlob(repository, digest)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' });
  });

  test('an empty blob is sent once', async () => {
    for (let time = 0; time < 2; time += 1) {
      await pushBlob(repository, () => once(new Uint8Array()), { onProgress, mediaType: 'x/y' });
    }
    expect(states).toEqual(['uploading', 'uploaded', 'exists']);
  });

  test('a blob is pushed under sha512 if its digest has that algorithm', async () => {
    const other = digestOf(bytes, 'sha512');
    const pushed = await pushBlob(repository, () => once(bytes), { digest: other });
    expect(pushed.digest).toBe(other);
  });

  test('content that does not match the given digest is not sent', async () => {
    const other = text('another blob');
    const push = (options: object) => pushBlob(repository, () => once(other), { onProgress, ...options });
    await expect(push({ digest })).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    await expect(push({ size: 3 })).rejects.toMatchObject({ code: 'SIZE_MISMATCH' });
    expect(states).toEqual([]);
    await expect(fetchBlob(repository, digestOf(other))).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' });
    await expect(fetchBlob(repository, 'v1')).rejects.toMatchObject({ code: 'DIGEST_INVALID' });
  });
});
