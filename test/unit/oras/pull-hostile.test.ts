import { describe, expect, test } from '@jest/globals';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { digestOf } from 'acr-promoter/oci';
import { createFolderSink, pullFiles, type PullOptions } from 'acr-promoter/oras';
import type { Claim } from '../../../src/oras/path-claims.js';
import { checkPlaces } from '../../../src/oras/commit-files.js';
import { MemoryRepository } from '../../support/memory-repository.js';
import {
  folderLayer,
  putArtifact,
  tarOf,
  treeOf,
  UNPACKED,
  withFolder,
  type LayerInput,
  type TarEntry,
} from '../../support/artifacts.js';

const BODY = 'harmless';

/** Pulls into `out` of a folder; nothing may be there afterwards, nor beside it, but what stood there before. */
async function expectRefusal(
  layers: readonly LayerInput[],
  code: string,
  options: PullOptions & { before?: (folder: string) => Promise<void> } = {},
): Promise<void> {
  await withFolder(async (folder) => {
    const repository = new MemoryRepository();
    const root = await putArtifact(repository, layers);
    await writeFile(join(folder, 'victim'), 'untouched');
    await options.before?.(folder);
    const before = await treeOf(folder);
    const files = createFolderSink(join(folder, 'out'));
    await expect(pullFiles({ repository, files }, root, options)).rejects.toMatchObject({ code });
    expect(await treeOf(folder)).toEqual(before);
  });
}

const file = (title: string): LayerInput => ({ title, bytes: Buffer.from(BODY) });

describe('a hostile title is refused', () => {
  test.each(['../victim', 'a/../../victim', '/etc/acr-promoter-was-here', '..', 'a/\0b'])(
    '%j leads out and is refused, with all that came with it',
    async (title) => {
      await expectRefusal([file('good'), file(title)], 'PATH_OUTSIDE');
    },
  );

  test('if it occurs twice with different bytes', async () => {
    await expectRefusal([file('a'), { title: './a', bytes: Buffer.from('other') }], 'FILE_NAME_DUPLICATE');
  });

  test('if it goes through another file', async () => {
    await expectRefusal([file('a'), { title: 'a/b', bytes: Buffer.from('other') }], 'PATH_BLOCKED');
    await expectRefusal([{ title: 'a/b', bytes: Buffer.from('other') }, file('a')], 'FILE_NAME_DUPLICATE');
  });

  test('if it names the folder itself', async () => {
    await expectRefusal([file('.')], 'PATH_BLOCKED');
  });

  test('if it goes through a link of an archive', async () => {
    const link = await folderLayer('d', [{ name: 'd/here', type: 'symlink', linkname: '.' }]);
    await expectRefusal([link, { title: 'd/here/evil', bytes: Buffer.from('x') }], 'PATH_BLOCKED', { concurrency: 1 });
  });

  test('if it goes through a link on disk that leads out', async () => {
    await expectRefusal([file('sub/victim')], 'PATH_OUTSIDE', {
      before: async (folder) => {
        await mkdir(join(folder, 'out'));
        await symlink(folder, join(folder, 'out', 'sub'));
      },
    });
  });

  test('but a link on disk that leads out is replaced, not followed', async () => {
    await withFolder(async (folder) => {
      const repository = new MemoryRepository();
      const root = await putArtifact(repository, [file('entry')]);
      await writeFile(join(folder, 'victim'), 'untouched');
      await mkdir(join(folder, 'out'));
      await symlink(join(folder, 'victim'), join(folder, 'out', 'entry'));
      await pullFiles({ repository, files: createFolderSink(join(folder, 'out')) }, root);
      expect(await treeOf(folder)).toEqual({ victim: 'untouched', out: '/', 'out/entry': BODY });
    });
  });
});

describe('a hostile archive is refused', () => {
  const entry = (name: string): TarEntry => ({ name, body: BODY });
  const link = (linkname: string): TarEntry => ({ name: 'd/l', type: 'symlink', linkname });
  test.each<[string, TarEntry[], string]>([
    ['a name that leads out', [entry('d/../../victim')], 'ARCHIVE_UNSAFE'],
    ['a name with .. that stays in', [entry('d/a/../b')], 'ARCHIVE_UNSAFE'],
    ['an absolute name', [entry('/d/victim')], 'ARCHIVE_UNSAFE'],
    ['another folder than its own', [entry('other/file')], 'ARCHIVE_UNSAFE'],
    ['a folder whose name only begins like its own', [entry('d-other/file')], 'ARCHIVE_UNSAFE'],
    ['an absolute link', [{ name: 'd/l', type: 'symlink', linkname: '/etc/passwd' }], 'ARCHIVE_UNSAFE'],
    ['a link that leads out', [{ name: 'd/l', type: 'symlink', linkname: '../victim' }], 'ARCHIVE_UNSAFE'],
    [
      'a link that leads out through another',
      [
        { name: 'd/a', type: 'directory' },
        { name: 'd/a/up', type: 'symlink', linkname: '..' },
        { name: 'd/out', type: 'symlink', linkname: 'a/up/../victim' },
      ],
      'ARCHIVE_UNSAFE',
    ],
    [
      'a link that leads out through one that comes later',
      [
        { name: 'd/out', type: 'symlink', linkname: 'x/..' },
        { name: 'd/x', type: 'symlink', linkname: '.' },
      ],
      'ARCHIVE_UNSAFE',
    ],
    [
      'links in a circle',
      [
        { name: 'd/a', type: 'symlink', linkname: 'b' },
        { name: 'd/b', type: 'symlink', linkname: 'a' },
      ],
      'ARCHIVE_UNSAFE',
    ],
    [
      'an entry through its own link',
      [{ name: 'd/l', type: 'symlink', linkname: '.' }, entry('d/l/file')],
      'PATH_BLOCKED',
    ],
    [
      'an entry in place of its own link',
      [{ name: 'd/l', type: 'symlink', linkname: '.' }, entry('d/l')],
      'FILE_NAME_DUPLICATE',
    ],
    ['a hard link to nothing', [{ name: 'd/h', type: 'link' }], 'ARCHIVE_UNSAFE'],
    [
      'a hard link to a file of the machine',
      [{ name: 'd/h', type: 'link', linkname: '/etc/passwd' }],
      'ARCHIVE_UNSAFE',
    ],
    ['a hard link that leads out', [{ name: 'd/h', type: 'link', linkname: '../victim' }], 'ARCHIVE_UNSAFE'],
    [
      'a hard link to a link',
      [
        { name: 'd/l', type: 'symlink', linkname: 'gone' },
        { name: 'd/h', type: 'link', linkname: 'd/l' },
      ],
      'ARCHIVE_UNSAFE',
    ],
    ['a name that comes twice', [entry('d/a'), { name: 'd/a', body: 'HARMLESS' }], 'FILE_NAME_DUPLICATE'],
    [
      'a name that comes twice, with other permissions',
      [entry('d/a'), { ...entry('d/a'), mode: 0o755 }],
      'FILE_NAME_DUPLICATE',
    ],
    ['two links of one name', [link('a'), link('b')], 'FILE_NAME_DUPLICATE'],
    ['a folder where a file is', [entry('d/a'), { name: 'd/a/b', type: 'directory' }], 'PATH_BLOCKED'],
  ])('%s', async (_what, entries, code) => {
    await expectRefusal([file('good'), await folderLayer('d', entries)], code);
  });

  test.each<[string, TarEntry]>([
    ['a character device', { name: 'd/null', type: 'character-device', devmajor: 1, devminor: 3 }],
    ['a block device', { name: 'd/disk', type: 'block-device', devmajor: 8, devminor: 0 }],
    ['a pipe', { name: 'd/pipe', type: 'fifo' }],
  ])('%s is refused, with all that came with it', async (_, special) => {
    await expectRefusal([file('good'), await folderLayer('d', [entry('d/file'), special])], 'ARCHIVE_UNSAFE');
  });

  test('while it unpacks, if it is a bomb', async () => {
    const zeros = gzipSync(await tarOf([{ name: 'd/zeros', body: Buffer.alloc(70 * 1024 * 1024) }]));
    await expectRefusal([{ title: 'd', bytes: zeros, annotations: UNPACKED }], 'TOO_LARGE');
  });

  test('if its hard links exceed the limit in total', async () => {
    const entries: TarEntry[] = [{ name: 'd/a', body: 'x'.repeat(10_000) }];
    for (let index = 0; index < 20; index += 1) entries.push({ name: `d/${index}`, type: 'link', linkname: 'd/a' });
    await expectRefusal([await folderLayer('d', entries)], 'TOO_LARGE', { unpackLimitBytes: 100_000 });
  });

  test('if it exceeds the limit together with other archives and copies', async () => {
    const layers = await Promise.all(
      ['a', 'b', 'c'].map((title) => folderLayer(title, [{ name: `${title}/x`, body: title.repeat(40_000) }])),
    );
    await expectRefusal(layers, 'TOO_LARGE', { unpackLimitBytes: 100_000 });
    const bytes = Buffer.alloc(40_000);
    const copies = ['a', 'b', 'c', 'd'].map((title) => ({ title, bytes }));
    await expectRefusal(copies, 'TOO_LARGE', { unpackLimitBytes: 100_000 });
  });

  test.each([
    ['no gzip', Buffer.from('plain text'), 'ARCHIVE_INVALID'],
    ['no tar', gzipSync(Buffer.alloc(2048, 'x')), 'ARCHIVE_INVALID'],
    ['nothing', Buffer.alloc(0), 'ARCHIVE_INVALID'],
  ])('%s', async (_what, bytes, code) => {
    await expectRefusal([{ title: 'd', bytes, annotations: UNPACKED }], code);
  });

  test('if it is cut off', async () => {
    const whole = (await folderLayer('d', [entry('d/a'), { name: 'd/b', body: 'b'.repeat(50_000) }])).bytes;
    await expectRefusal([{ title: 'd', bytes: whole.subarray(0, -20), annotations: UNPACKED }], 'ARCHIVE_INVALID');
    const tar = await tarOf([{ name: 'd/b', body: 'b'.repeat(50_000) }]);
    await expectRefusal(
      [{ title: 'd', bytes: gzipSync(tar.subarray(0, 20_000)), annotations: UNPACKED }],
      'ARCHIVE_INVALID',
    );
  });

  test('if its content does not match its digest', async () => {
    const layer = await folderLayer('d', [entry('d/a')]);
    const annotations = { ...layer.annotations, 'io.deis.oras.content.digest': digestOf(Buffer.from('other')) };
    await expectRefusal([{ ...layer, annotations }], 'DIGEST_MISMATCH');
  });
});

describe('a pull', () => {
  test('leaves no new file if a blob breaks off, and existing files stay', async () => {
    await withFolder(async (folder) => {
      const repository = new MemoryRepository();
      const root = await putArtifact(repository, [file('a'), { title: 'b', bytes: Buffer.from('second') }]);
      await writeFile(join(folder, 'a'), 'old');
      repository.failNth('openBlob', 2, new Error('broken'));
      const files = createFolderSink(folder);
      await expect(pullFiles({ repository, files }, root, { concurrency: 1 })).rejects.toThrow('broken');
      expect(await treeOf(folder)).toEqual({ a: 'old' });
      repository.fault = undefined;
      await pullFiles({ repository, files }, root);
      expect(await treeOf(folder)).toEqual({ a: BODY, b: 'second' });
    });
  });

  test('that cannot place a file fails before the first change', async () => {
    await expectRefusal([file('a'), { title: 'z', bytes: Buffer.from('z') }], 'PATH_BLOCKED', {
      before: async (folder) => {
        await mkdir(join(folder, 'out', 'z'), { recursive: true });
        await writeFile(join(folder, 'out', 'z', 'kept'), 'kept');
      },
    });
  });

  test('does not replace a device', async () => {
    await withFolder(async (folder) => {
      const claim: Claim = { kind: 'file', name: '/dev/null', staged: join(folder, '0'), attributes: {} };
      const places = checkPlaces([['/dev/null', claim]], { root: folder, allowOutside: true });
      await expect(places).rejects.toMatchObject({ code: 'PATH_BLOCKED' });
    });
  });

  test('fails if the output is no folder', async () => {
    await withFolder(async (folder) => {
      const repository = new MemoryRepository();
      const root = await putArtifact(repository, [file('a')]);
      await writeFile(join(folder, 'out'), 'a file');
      const files = createFolderSink(join(folder, 'out'));
      await expect(pullFiles({ repository, files }, root)).rejects.toMatchObject({ code: 'FILE_UNWRITABLE' });
    });
  });

  test('leaves nothing if it is interrupted', async () => {
    await withFolder(async (folder) => {
      const repository = new MemoryRepository();
      const root = await putArtifact(repository, [file('a')]);
      const stopping = new AbortController();
      repository.fault = ({ method }) => {
        if (method === 'openBlob') stopping.abort();
      };
      const files = createFolderSink(join(folder, 'out', 'deep'));
      await expect(pullFiles({ repository, files }, root, { signal: stopping.signal })).rejects.toThrow();
      expect(await treeOf(folder)).toEqual({});
    });
  });

  test('writes outside the folder if that is allowed', async () => {
    await withFolder(async (folder) => {
      const repository = new MemoryRepository();
      const root = await putArtifact(repository, [file('../victim')]);
      await mkdir(join(folder, 'out'));
      await pullFiles({ repository, files: createFolderSink(join(folder, 'out'), { allowOutside: true }) }, root);
      expect(await readFile(join(folder, 'victim'), 'utf8')).toBe(BODY);
    });
  });
});
