import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createFolderSource, pushFiles, type FolderEntry } from '../../../src/oras/index.js';
import { walkBlobFolder, PUSHED_FOLDER_BYTES } from '../../../src/operations/blob-folder.js';
import { newJobWorld, perform, valueOf } from '../../support/job-world.js';
import { REGISTRY, type World } from '../../support/world.js';

let world: World;
let folder = '';

beforeEach(async () => {
  world = newJobWorld();
  folder = await mkdtemp(join(tmpdir(), 'job-folder-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const FILES: Record<string, string> = {
  'docs/readme.md': 'read me\n',
  // Between a folder and what is in it, in the order of whole names.
  'docs/details.txt': 'beside the folder\n',
  'docs/details/more/deep.md': 'deep\n',
  'docs/details/a.md': 'a\n',
  'docs/é.md': 'not ASCII\n',
  'docs-of-others/x.md': 'not of the folder\n',
};

async function onDisk(files: Record<string, string>): Promise<void> {
  await chmod(folder, 0o755);
  for (const [name, text] of Object.entries(files)) {
    const path = join(folder, name);
    for (let at = dirname(path); at !== folder; at = dirname(at)) {
      await mkdir(at, { recursive: true });
      await chmod(at, 0o755);
    }
    await writeFile(path, text);
    await chmod(path, 0o644);
  }
}

function asBlobs(files: Record<string, string>): void {
  // Listed in another order than they are packed in.
  for (const [name, text] of Object.entries(files).toReversed()) {
    world.files.kept.set(`source/${name}`, Buffer.from(text));
  }
}

const names = async (path: string): Promise<string[]> => {
  const walked: FolderEntry[] = [];
  for await (const entry of walkBlobFolder(world.files, path)) walked.push(entry);
  return walked.map((entry) => entry.path);
};

describe('a folder of blobs', () => {
  test('gives the same digest as the same local folder', async () => {
    await onDisk(FILES);
    asBlobs(FILES);
    const repository = world.registries.repository(REGISTRY, 'samples/by-hand');
    const artifactType = 'doc/example';
    const files = [{ path: 'docs' }, { path: 'docs/readme.md', mediaType: 'text/markdown' }];
    const byHand = await pushFiles(
      { repository, files: createFolderSource(folder) },
      { artifactType, files, tags: ['v1'] },
    );
    const reference = `${REGISTRY}/samples/by-job:v1`;
    const value = (await valueOf(world, { operation: 'push', reference, artifactType, files })) as { digest: string };
    expect(value.digest).toBe(byHand.descriptor.digest);
    const { manifest } = repository.manifests.get(value.digest) ?? {};
    expect(manifest).toMatchObject({
      layers: [
        {
          mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
          annotations: { 'org.opencontainers.image.title': 'docs', 'io.deis.oras.content.unpack': 'true' },
        },
        { mediaType: 'text/markdown' },
      ],
    });
    const attached = {
      operation: 'attach',
      reference,
      artifactType: 'docs/example',
      files: [{ path: 'docs/details' }],
    };
    expect(await valueOf(world, attached, 'r2')).toMatchObject({ artifactType: 'docs/example' });
  });

  test('is walked like a local folder: folders before their entries, names in byte order', async () => {
    asBlobs(FILES);
    const onThisMachine: string[] = [];
    await onDisk(FILES);
    for await (const { path } of createFolderSource(folder).walk('docs')) onThisMachine.push(path);
    expect(await names('docs')).toEqual(onThisMachine);
  });

  test('may have any names', async () => {
    const part = fc.stringMatching(/^[!-.0-9A-Z^-~]{1,3}$/).filter((text) => !/^\.{1,2}$/.test(text));
    const paths = fc.uniqueArray(fc.array(part, { minLength: 1, maxLength: 3 }), {
      minLength: 1,
      maxLength: 12,
      selector: (parts) => parts.join('/'),
    });
    await fc.assert(
      fc.asyncProperty(paths, async (all) => {
        // No file is a folder as well.
        const kept = all
          .map((parts) => parts.join('/'))
          .filter((path, _, others) => !others.some((other) => other.startsWith(`${path}/`)));
        world.files.kept.clear();
        for (const path of kept) world.files.kept.set(`source/f/${path}`, Buffer.from(path));
        const walked = (await names('f')).slice(1);
        const expected = new Set(
          kept.flatMap((path) => path.split('/').map((_, index, parts) => parts.slice(0, index + 1).join('/'))),
        );
        expect(new Set(walked)).toEqual(expected);
        expect(walked).toHaveLength(expected.size);
        const byParts = (text: string): string => text.replaceAll('/', '\u0000');
        expect(walked.map(byParts)).toEqual(walked.map(byParts).toSorted());
      }),
    );
  });

  test.each(['docs//a', 'docs/../a', 'docs/./a', 'docs/a\\b', 'docs/readme.md/x'])(
    'with %s is refused',
    async (name) => {
      asBlobs({ ...FILES, [name]: 'x' });
      const job = { operation: 'push', reference: `${REGISTRY}/samples/app:v1`, files: [{ path: 'docs' }] };
      await expect(perform(world, job)).rejects.toMatchObject({ code: 'FILE_NAME_INVALID' });
      expect(world.registries.repository(REGISTRY, 'samples/app').manifests.size).toBe(0);
    },
  );

  test('has a maximum number of files and bytes', async () => {
    world.files.list = async function* () {
      for (let at = 0; ; at += 1) yield { name: `docs/${at}`, sizeBytes: 1 };
    };
    await expect(names('docs')).rejects.toMatchObject({ code: 'TOO_MANY_FILES' });
    world.files.list = async function* () {
      yield { name: 'docs/large', sizeBytes: PUSHED_FOLDER_BYTES + 1 };
    };
    await expect(names('docs')).rejects.toMatchObject({ code: 'TOO_LARGE' });
  });

  test('is refused where a file is required', async () => {
    asBlobs(FILES);
    const reference = `${REGISTRY}/samples/app`;
    for (const [job, runId] of [
      [{ operation: 'blob.push', reference, file: { path: 'docs' } }, 'r1'],
      [{ operation: 'manifest.push', reference: `${reference}:v1`, file: { path: 'docs' } }, 'r2'],
    ] as const) {
      await expect(perform(world, job, runId)).rejects.toMatchObject({ code: 'NOT_A_FILE' });
    }
    const nothing = { operation: 'push', reference: `${reference}:v1`, files: [{ path: 'doc' }] };
    await expect(perform(world, nothing, 'r3')).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
  });
});
