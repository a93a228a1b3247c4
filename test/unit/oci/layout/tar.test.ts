import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { copyGraph, digestOf, openLayout, planGraph, type Descriptor } from 'acr-promoter/oci';
import { putBlob, putRealGraph, text } from '../../../support/graphs.js';
import { MemoryRepository } from '../../../support/memory-repository.js';

let root = '';
let image: Descriptor;
let long: Descriptor;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tar-'));
  const layout = await openLayout(join(root, 'layout'), { create: true });
  image = (await putRealGraph(layout)).root;
  const bytes = text('named by sha512');
  long = { mediaType: 'text/plain', digest: digestOf(bytes, 'sha512'), size: bytes.length };
  await layout.pushBlob(long, async function* () {
    yield bytes;
  });
  await putBlob(layout, 'text/plain', text('x'.repeat(5000)));
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function archive(name: string, linked?: string): Promise<Uint8Array> {
  const packer = pack();
  const folder = join(root, 'layout');
  packer.entry({ name: './', type: 'directory' });
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const inside = `${name}${path.slice(folder.length + 1)}`;
    if (inside === linked) packer.entry({ name: inside, type: 'symlink', linkname: '/etc/passwd' });
    else packer.entry({ name: inside }, await readFile(path));
  }
  packer.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of packer) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
}

describe('a layout in a tar archive', () => {
  test.each(['', './'])('is read like a folder if names start with %j', async (prefix) => {
    const path = join(root, `layout${prefix.length}.tar`);
    await writeFile(path, await archive(prefix));
    const layout = await openLayout(path);
    expect(await layout.resolve('v1')).toMatchObject(image);
    expect(await layout.hasBlob(long)).toBe(true);
    const plan = await planGraph(layout, image, { recursive: true });
    expect(plan.manifests).toHaveLength(8);
    const destination = new MemoryRepository();
    await copyGraph(plan, layout, destination);
    expect(destination.manifests.size).toBe(8);
    expect(destination.blobs.size).toBe(plan.blobCount);
    const body = [];
    for await (const chunk of await layout.openBlob(long, { offset: 6 })) body.push(chunk);
    expect(Buffer.concat(body).toString()).toBe('by sha512');
  });

  test('uses the size in an extended header', async () => {
    const block = (name: string, size: number, type: string): Buffer => {
      const header = Buffer.alloc(512);
      header.write(name, 0);
      header.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
      header.write(type, 156);
      header.write('ustar\u000000', 257);
      header.fill(' ', 148, 156);
      const sum = header.reduce((total, byte) => total + byte, 0);
      header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
      return header;
    };
    // The length of a record includes itself.
    const record = (key: string, value: string): string => {
      const rest = ` ${key}=${value}\n`;
      const length = rest.length + `${rest.length + 2}`.length;
      return `${length}${rest}`;
    };
    const padded = (bytes: Uint8Array): Buffer =>
      Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
    const blocks: Buffer[] = [];
    const folder = join(root, 'layout');
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      const bytes = await readFile(path);
      // Archivers write files over 8 GiB like this: the header itself has size 0.
      const inside = path.slice(folder.length + 1);
      const records = text(record('size', `${bytes.length}`) + record('path', inside));
      const name = inside.slice(-99);
      blocks.push(block('pax', records.length, 'x'), padded(records), block(name, 0, '0'), padded(bytes));
    }
    const path = join(root, 'pax-size.tar');
    await writeFile(path, Buffer.concat([...blocks, Buffer.alloc(1024)]));
    const layout = await openLayout(path);
    expect(await layout.hasBlob(long)).toBe(true);
    const plan = await planGraph(layout, await layout.resolve('v1'), { recursive: true });
    expect(plan.manifests).toHaveLength(8);
    const destination = new MemoryRepository();
    await copyGraph(plan, layout, destination);
    expect(destination.blobs.size).toBe(plan.blobCount);
  });

  test('cannot be written', async () => {
    const path = join(root, 'read-only.tar');
    await writeFile(path, await archive(''));
    const layout = await openLayout(path);
    const code = 'LAYOUT_READ_ONLY';
    await expect(layout.pushBlob(long, () => Promise.reject(new Error()))).rejects.toMatchObject({ code });
    await expect(layout.pushManifest(text('{}'), 'x')).rejects.toMatchObject({ code });
    await expect(layout.deleteManifest(image.digest)).rejects.toMatchObject({ code });
    await expect(layout.mountBlob(long, 'x')).rejects.toMatchObject({ code });
  });

  test('does not follow links', async () => {
    const path = join(root, 'links.tar');
    await writeFile(path, await archive('', 'oci-layout'));
    await expect(openLayout(path)).rejects.toMatchObject({ code: 'LAYOUT_INVALID' });
  });

  test.each([
    ['compressed', (bytes: Uint8Array) => gzipSync(bytes)],
    ['cut off', (bytes: Uint8Array) => bytes.subarray(0, bytes.length - 6000)],
    ['cut off in a header', (bytes: Uint8Array) => bytes.subarray(0, 700)],
    ['no archive at all', () => text('hello, this is no archive\n'.repeat(40))],
    ['empty', () => new Uint8Array()],
  ])('is refused if it is %s', async (what, change) => {
    const path = join(root, `${what.replaceAll(' ', '-')}.tar`);
    await writeFile(path, change(await archive('')));
    await expect(openLayout(path)).rejects.toMatchObject({ code: 'LAYOUT_INVALID' });
  });

  test('is refused if a header has a wrong checksum', async () => {
    const bytes = await archive('');
    bytes[bytes.indexOf(0x75) + 1] = 0x20;
    const path = join(root, 'broken.tar');
    await writeFile(path, bytes);
    await expect(openLayout(path)).rejects.toMatchObject({ code: 'LAYOUT_INVALID' });
  });
});
