import { describe, expect, test } from '@jest/globals';
import { chmod, link, mkdir, readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOf, OCI_IMAGE_INDEX, type Descriptor } from 'acr-promoter/oci';
import {
  createFolderSink,
  createFolderSource,
  pullFiles,
  pushFiles,
  type FileSink,
  type FolderSinkOptions,
  type Pulled,
  type PullOptions,
  type StagedFiles,
} from 'acr-promoter/oras';
import { MemoryRepository } from '../../support/memory-repository.js';
import { folderLayer, putArtifact, treeOf, withFolder, type TarEntry } from '../../support/artifacts.js';

const text = (title: string | undefined, body: string, mediaType = 'text/plain') => ({
  ...(title !== undefined && { title }),
  bytes: Buffer.from(body),
  mediaType,
});

async function pullTo(
  folder: string,
  repository: MemoryRepository,
  root: Descriptor,
  options: PullOptions & FolderSinkOptions = {},
): Promise<Pulled & { states: string[] }> {
  const states: string[] = [];
  const files = createFolderSink(folder, options);
  const pulled = await pullFiles({ repository, files }, root, {
    ...options,
    onProgress: (progress) => {
      if (!('descriptor' in progress)) return;
      const { annotations, mediaType } = progress.descriptor;
      states.push(`${progress.state} ${annotations?.['org.opencontainers.image.title'] ?? mediaType}`);
    },
  });
  // Nothing of ours stays.
  expect((await readdir(folder)).filter((name) => name.startsWith('.pull-'))).toEqual([]);
  return { ...pulled, states };
}

async function putIndex(repository: MemoryRepository, manifests: readonly Descriptor[]): Promise<Descriptor> {
  const index = { schemaVersion: 2, mediaType: OCI_IMAGE_INDEX, manifests };
  return repository.pushManifest(Buffer.from(JSON.stringify(index)), OCI_IMAGE_INDEX);
}

test('files are written to their paths in new folders', async () => {
  await withFolder(async (folder) => {
    const repository = new MemoryRepository();
    const root = await putArtifact(repository, [text('a.txt', 'one'), text('x/y/b.txt', 'two')]);
    const out = join(folder, 'not', 'there');
    const { files, skipped, states } = await pullTo(out, repository, root);
    expect(await treeOf(out)).toEqual({ 'a.txt': 'one', x: '/', 'x/y': '/', 'x/y/b.txt': 'two' });
    expect(files.map(({ path }) => path)).toEqual([join(out, 'a.txt'), join(out, 'x/y/b.txt')]);
    expect(skipped).toBe(false);
    expect(states[0]).toBe(`downloading ${root.mediaType}`);
    expect(states[1]).toBe(`processing ${root.mediaType}`);
    expect(states.at(-1)).toBe(`downloaded ${root.mediaType}`);
  });
});

test('a folder is pulled as it was pushed, with bytes, links and permissions, and other files in it stay', async () => {
  await withFolder(async (folder) => {
    const made = join(folder, 'd');
    await mkdir(join(made, 'sub', 'empty'), { recursive: true });
    await writeFile(join(made, 'run.sh'), '#!/bin/sh\n');
    await chmod(join(made, 'run.sh'), 0o755);
    await writeFile(join(made, 'secret'), 's');
    await chmod(join(made, 'secret'), 0o400);
    await link(join(made, 'run.sh'), join(made, 'same.sh'));
    await writeFile(join(made, `${'long-'.repeat(40)}ünïcode`), 'l');
    await writeFile(join(made, 'large'), Buffer.alloc(1_000_000, 'x'));
    await symlink('../run.sh', join(made, 'sub', 'link'));
    await symlink('sub', join(made, 'to-sub'));
    await chmod(join(made, 'sub'), 0o555);
    const repository = new MemoryRepository();
    const pushed = await pushFiles({ repository, files: createFolderSource(folder) }, { files: [{ path: 'd' }] });
    const out = join(folder, 'out');
    await mkdir(join(out, 'd'), { recursive: true });
    await writeFile(join(out, 'd', 'beside'), 'kept');
    await writeFile(join(out, 'd', 'run.sh'), 'old');
    await chmod(join(out, 'd', 'run.sh'), 0o750);
    const { files } = await pullTo(out, repository, pushed.descriptor);
    expect(await treeOf(join(out, 'd'))).toEqual({ ...(await treeOf(made)), beside: 'kept' });
    expect(files.map(({ path }) => path)).toEqual([`${join(out, 'd')}/`]);
    const modes = await Promise.all(
      ['run.sh', 'secret', 'sub'].map(async (name) => (await stat(join(out, 'd', name))).mode & 0o777),
    );
    // What was there keeps its own.
    expect(modes).toEqual([0o750, 0o400, 0o555]);
    // Over what is there.
    await pullTo(out, repository, pushed.descriptor);
    await chmod(join(made, 'sub'), 0o755);
    await chmod(join(out, 'd', 'sub'), 0o755);
  });
});

test('a file that replaces another has its permissions', async () => {
  await withFolder(async (folder) => {
    const repository = new MemoryRepository();
    const layer = await folderLayer('d', [{ name: 'd/sh', mode: 0o755, body: 'x' }]);
    const root = await putArtifact(repository, [text('hi.txt', 'new'), layer]);
    const out = join(folder, 'out');
    const paths = [join(out, 'hi.txt'), join(out, 'd', 'sh')];
    await mkdir(join(out, 'd'), { recursive: true });
    for (const path of paths) {
      await writeFile(path, 'old');
      await chmod(path, 0o600);
    }
    await pullTo(out, repository, root);
    expect(await treeOf(out)).toEqual({ 'hi.txt': 'new', d: '/', 'd/sh': 'x' });
    for (const path of paths) expect((await stat(path)).mode & 0o777).toBe(0o600);
  });
});

test('times are set, and set-user bits are not', async () => {
  await withFolder(async (folder) => {
    const repository = new MemoryRepository();
    const layer = await folderLayer('d', [
      { name: 'd/', type: 'directory', mode: 0o1700, mtime: new Date(5_000_000) },
      { name: './d//sh', mode: 0o6755, mtime: new Date(9_000_000), body: 'x' },
    ]);
    const root = await putArtifact(repository, [layer]);
    await pullTo(folder, repository, root);
    const file = await stat(join(folder, 'd', 'sh'));
    expect([file.mode & 0o7777, file.mtimeMs]).toEqual([0o755, 9_000_000]);
    const made = await stat(join(folder, 'd'));
    expect([made.mode & 0o7777, made.mtimeMs]).toEqual([0o700, 5_000_000]);
  });
});

test('hard links are resolved from the folder of the link and from the start of the archive', async () => {
  await withFolder(async (folder) => {
    const repository = new MemoryRepository();
    const layer = await folderLayer('d', [
      { name: 'd/sub/a', body: 'content' },
      { name: 'd/sub/near', type: 'link', linkname: 'a' },
      { name: 'd/far', type: 'link', linkname: 'd/sub/a' },
    ]);
    await pullTo(folder, repository, await putArtifact(repository, [layer]));
    const tree = await treeOf(join(folder, 'd'));
    expect(tree).toEqual({ far: 'content', sub: '/', 'sub/a': 'content', 'sub/near': 'content' });
  });
});

test('an archive titled "." is unpacked into the folder itself', async () => {
  await withFolder(async (folder) => {
    await writeFile(join(folder, 'a'), 'a');
    const repository = new MemoryRepository();
    const pushed = await pushFiles({ repository, files: createFolderSource(folder) }, { files: [{ path: '.' }] });
    await withFolder(async (out) => {
      await pullTo(out, repository, pushed.descriptor);
      expect(await treeOf(out)).toEqual({ a: 'a' });
    });
  });
});

async function* slowly(goOn: Promise<void>): AsyncGenerator<Uint8Array> {
  yield Buffer.from('slo');
  await goOn;
  yield Buffer.from('w');
}

describe('two files with one path', () => {
  const x: TarEntry = { name: 'd/x', body: 'x', mode: 0o755 };
  const link: TarEntry = { name: 'd/sub/link', type: 'symlink', linkname: 'y' };
  const sub: TarEntry[] = [{ name: 'd/sub/y', body: 'y' }, link];

  test.each(['the folder first', 'the folder last'])(
    'a folder, a folder in it and a file in it, each as it is: %s',
    async (order) => {
      await withFolder(async (folder) => {
        const repository = new MemoryRepository();
        const layers = [
          await folderLayer('d', [x, { name: 'd/h', type: 'link', linkname: 'd/x' }, ...sub]),
          await folderLayer('d/sub', sub),
          text('d/x', 'x'),
          text('d/copy', 'x'),
        ];
        const root = await putArtifact(repository, order === 'the folder first' ? layers : layers.toReversed());
        const { files } = await pullTo(folder, repository, root, { concurrency: 1 });
        expect(files).toHaveLength(4);
        const tree = {
          d: '/',
          'd/copy': 'x',
          'd/h': 'x',
          'd/sub': '/',
          'd/sub/link': '-> y',
          'd/sub/y': 'y',
          'd/x': 'x',
        };
        expect(await treeOf(folder)).toEqual(tree);
        expect((await stat(join(folder, 'd', 'x'))).mode & 0o100).toBe(0o100);
      });
    },
  );

  test.each<[string, Buffer]>([
    ['of the same size', Buffer.from('z')],
    ['longer', Buffer.from('xx')],
  ])('other bytes, %s, are refused', async (_, bytes) => {
    await withFolder(async (folder) => {
      const repository = new MemoryRepository();
      const root = await putArtifact(repository, [await folderLayer('d', [x]), { title: 'd/x', bytes }]);
      await expect(pullTo(folder, repository, root)).rejects.toMatchObject({ code: 'FILE_NAME_DUPLICATE' });
      expect(await treeOf(folder)).toEqual({});
    });
  });

  test('are copied from the complete one', async () => {
    await withFolder(async (folder) => {
      const staged = await createFolderSink(folder).begin();
      let goOn = (): void => undefined;
      const growing = staged.file('d/x', slowly(new Promise((done) => (goOn = done))));
      await staged.file('d/x', slowly(Promise.resolve()));
      await staged.copy('d/h', 'd/x');
      goOn();
      await growing;
      await staged.commit();
      expect(await treeOf(folder)).toEqual({ d: '/', 'd/h': 'slow', 'd/x': 'slow' });
    });
  });
});

describe('existing files', () => {
  test('are replaced, and links are not written through', async () => {
    await withFolder(async (folder) => {
      const repository = new MemoryRepository();
      await writeFile(join(folder, 'a'), 'old');
      await pullTo(folder, repository, await putArtifact(repository, [text('a', 'new')]));
      expect(await treeOf(folder)).toEqual({ a: 'new' });
    });
  });

  test.each(['a', 'd/deep'])('--keep-old-files refuses %s, and pulls nothing', async (old) => {
    await withFolder(async (folder) => {
      const repository = new MemoryRepository();
      const layer = await folderLayer('d', [{ name: 'd/deep', body: 'new' }]);
      const root = await putArtifact(repository, [text('a', 'new'), layer, text('b', 'new')]);
      await mkdir(join(folder, 'd'));
      await writeFile(join(folder, old), 'old');
      const before = await treeOf(folder);
      await expect(pullTo(folder, repository, root, { keepOldFiles: true })).rejects.toMatchObject({
        code: 'FILE_EXISTS',
      });
      expect(await treeOf(folder)).toEqual(before);
    });
  });

  test('are replaced through a link to a folder within', async () => {
    await withFolder(async (folder) => {
      const repository = new MemoryRepository();
      await mkdir(join(folder, 'real'));
      await symlink('real', join(folder, 'alias'));
      await pullTo(folder, repository, await putArtifact(repository, [text('alias/a', 'new')]));
      expect(await treeOf(folder)).toEqual({ alias: '-> real', real: '/', 'real/a': 'new' });
    });
  });
});

describe('content without a name', () => {
  test('is skipped, and empty descriptors are ignored', async () => {
    await withFolder(async (folder) => {
      const repository = new MemoryRepository();
      const empty = text(undefined, '{}', 'application/vnd.oci.empty.v1+json');
      const root = await putArtifact(repository, [text('a', 'a'), text(undefined, 'b', 'x/y'), empty]);
      const { skipped, states } = await pullTo(folder, repository, root);
      expect(skipped).toBe(true);
      expect(states.filter((state) => state.startsWith('skipped'))).toEqual(['skipped x/y']);
      expect(await treeOf(folder)).toEqual({ a: 'a' });
      const nothing = await pullTo(folder, repository, await putArtifact(repository, [empty]));
      expect([nothing.skipped, nothing.files]).toEqual([false, []]);
    });
  });

  test('is pulled if it is a config and the option is set', async () => {
    await withFolder(async (folder) => {
      const repository = new MemoryRepository();
      const config = { mediaType: 'x/y', bytes: Buffer.from('{"c":1}') };
      const root = await putArtifact(repository, [text('a', 'a')], { config });
      const other = await pullTo(folder, repository, root, { config: { path: 'c.json', mediaType: 'a/b' } });
      expect([other.skipped, await treeOf(folder)]).toEqual([true, { a: 'a' }]);
      const { skipped, files } = await pullTo(folder, repository, root, {
        config: { path: 'c.json', mediaType: 'x/y' },
      });
      expect([skipped, files.length]).toEqual([false, 1]);
      expect(await treeOf(folder)).toEqual({ a: 'a', 'c.json': '{"c":1}' });
    });
  });
});

describe('a pull of several manifests', () => {
  test('includes all manifests of an index, and downloads each blob once', async () => {
    await withFolder(async (folder) => {
      const repository = new MemoryRepository();
      const one = await putArtifact(repository, [text('a', 'same'), text('b', 'b')]);
      const two = await putArtifact(repository, [text('c', 'same'), text('b', 'b')]);
      const index = await putIndex(repository, [one, two]);
      repository.calls.length = 0;
      const { states } = await pullTo(folder, repository, index);
      expect(await treeOf(folder)).toEqual({ a: 'same', b: 'b', c: 'same' });
      expect(repository.count('openBlob')).toBe(2);
      expect(states).toContain('restored c');
    });
  });

  test('refuses one name with different bytes', async () => {
    await withFolder(async (folder) => {
      const repository = new MemoryRepository();
      const one = await putArtifact(repository, [text('a', 'one')]);
      const two = await putArtifact(repository, [text('a', 'two')]);
      const index = await putIndex(repository, [one, two]);
      await expect(pullTo(folder, repository, index)).rejects.toMatchObject({ code: 'FILE_NAME_DUPLICATE' });
      expect(await treeOf(folder)).toEqual({});
    });
  });

  test('includes the subject and its subject if the option is set', async () => {
    await withFolder(async (folder) => {
      const repository = new MemoryRepository();
      const image = await putArtifact(repository, [text('image', 'i')]);
      const sbom = await putArtifact(repository, [text('sbom', 's')], { subject: image });
      const signature = await putArtifact(repository, [text('signature', 'x')], { subject: sbom });
      await pullTo(folder, repository, signature);
      expect(await treeOf(folder)).toEqual({ signature: 'x' });
      await pullTo(folder, repository, signature, { includeSubject: true });
      expect(await treeOf(folder)).toEqual({ image: 'i', sbom: 's', signature: 'x' });
    });
  });

  test('refuses indexes that are nested endlessly', async () => {
    await withFolder(async (folder) => {
      const repository = new MemoryRepository();
      let root = await putArtifact(repository, [text('a', 'a')]);
      for (let level = 0; level < 20; level += 1) root = await putIndex(repository, [root]);
      await expect(pullTo(folder, repository, root)).rejects.toMatchObject({ code: 'GRAPH_TOO_DEEP' });
    });
  });
});

test('a pull can write to a sink that is not a folder, such as blobs of a container', async () => {
  const container = new Map<string, string>();
  const stored: FileSink = {
    locate: (name) => `target/${name}`,
    begin: () => {
      const staged = new Map<string, string>();
      const files: StagedFiles = {
        file: async (name, content) => {
          const chunks: Uint8Array[] = [];
          for await (const chunk of content) chunks.push(chunk);
          staged.set(name, Buffer.concat(chunks).toString());
        },
        folder: () => Promise.resolve(),
        link: () => Promise.reject(new Error('a container has no links')),
        copy: async (name, from) => void staged.set(name, staged.get(from) ?? ''),
        commit: async () => {
          for (const [name, body] of staged) container.set(name, body);
        },
        discard: () => Promise.resolve(),
      };
      return Promise.resolve(files);
    },
  };
  const repository = new MemoryRepository();
  const layer = await folderLayer('d', [
    { name: 'd', type: 'directory' },
    { name: 'd/x', body: 'in a folder' },
  ]);
  const root = await putArtifact(repository, [text('a', 'one'), text('b', 'one'), layer]);
  const { files } = await pullFiles({ repository, files: stored }, root);
  expect(files.map(({ path }) => path)).toEqual(['target/a', 'target/b', 'target/d/']);
  expect(Object.fromEntries(container)).toEqual({ a: 'one', b: 'one', 'd/x': 'in a folder' });
  expect(digestOf(Buffer.from('one'))).toBe(files[0]?.descriptor.digest);
});
