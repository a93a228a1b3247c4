import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { lstat, mkdir, readdir, realpath, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PromoterError } from 'acr-promoter/oci';
import { createFolderSink, createFolderSource, pullFiles, pushFiles } from 'acr-promoter/oras';
import { MemoryRepository } from '../../support/memory-repository.js';
import { folderLayer, putArtifact, treeOf, withFolder, type TarEntry } from '../../support/artifacts.js';

const name = fc.constantFrom('a', 'b', 'c');
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
const target = fc
  .array(fc.constantFrom('.', '..', '..', 'a', 'b', 'c', 'd', ''), { minLength: 1, maxLength: 5 })
  .map((parts) => parts.join('/'))
  .filter((text) => text !== '');
const entry: fc.Arbitrary<TarEntry> = fc.oneof(
  path.map((at): TarEntry => ({ name: `d/${at}`, type: 'directory' })),
  path.map((at): TarEntry => ({ name: `d/${at}`, body: 'pulled' })),
  {
    arbitrary: fc.tuple(path, target).map(([at, to]): TarEntry => ({ name: `d/${at}`, type: 'symlink', linkname: to })),
    weight: 3,
  },
  fc.tuple(path, target).map(([at, to]): TarEntry => ({ name: `d/${at}`, type: 'link', linkname: to })),
);

/** Where every link below a folder leads, as the system follows it; those that lead nowhere are left out. */
async function destinations(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const each of await readdir(folder)) {
    const at = join(folder, each);
    const status = await lstat(at);
    if (status.isDirectory()) found.push(...(await destinations(at)));
    else if (status.isSymbolicLink())
      found.push(
        ...(await realpath(at).then(
          (to) => [to],
          () => [],
        )),
      );
  }
  return found;
}

test('no link of an archive leads outside, and nothing is written there', async () => {
  let pulled = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(entry, { minLength: 1, maxLength: 6 }), async (entries) => {
      await withFolder(async (folder) => {
        const out = await realpath(folder);
        // What a link that leads out would find.
        for (const outside of ['a', 'b', 'c']) await writeFile(join(out, outside), 'outside');
        const repository = new MemoryRepository();
        const root = await putArtifact(repository, [await folderLayer('d', entries)]);
        try {
          await pullFiles({ repository, files: createFolderSink(out) }, root);
          pulled += 1;
        } catch (error) {
          expect(error).toBeInstanceOf(PromoterError);
          expect(Object.keys(await treeOf(out))).toEqual(['a', 'b', 'c']);
          return;
        }
        const { a, b, c } = await treeOf(out);
        expect([a, b, c]).toEqual(['outside', 'outside', 'outside']);
        for (const to of await destinations(join(out, 'd'))) expect(`${to}/`.startsWith(`${out}/d/`)).toBe(true);
      });
    }),
    { numRuns: 120 },
  );
  // It is not that all of them are refused.
  expect(pulled).toBeGreaterThan(10);
}, 60_000);

test('any files of a folder are pulled as they were pushed', async () => {
  const fileName = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 60 })
    .filter(
      (text) => !/[/\0]|^\.{1,2}$/.test(text) && Buffer.from(text).toString() === text && Buffer.byteLength(text) < 250,
    );
  await fc.assert(
    fc.asyncProperty(
      fc.dictionary(fileName, fc.oneof(fc.uint8Array({ maxLength: 2_000 }), fc.constant(new Uint8Array(200_000))), {
        maxKeys: 6,
      }),
      async (files) => {
        await withFolder(async (folder) => {
          await mkdir(join(folder, 'd', 'deep'), { recursive: true });
          for (const [at, bytes] of Object.entries(files)) await writeFile(join(folder, 'd', 'deep', at), bytes);
          const repository = new MemoryRepository();
          const ports = { repository, files: createFolderSource(folder) };
          const { descriptor } = await pushFiles(ports, { files: [{ path: 'd' }] });
          await pullFiles({ repository, files: createFolderSink(join(folder, 'out')) }, descriptor);
          expect(await treeOf(join(folder, 'out', 'd'))).toEqual(await treeOf(join(folder, 'd')));
        });
      },
    ),
    { numRuns: 25 },
  );
}, 60_000);
