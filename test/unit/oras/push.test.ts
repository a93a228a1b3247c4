import { describe, expect, test } from '@jest/globals';
import { chmod, mkdir, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { digestOf, InputError } from 'acr-promoter/oci';
import {
  createFolderSource,
  parseAnnotationFile,
  parseAnnotationFlags,
  parseFileReference,
  pushFiles,
  type FileSource,
  type PushOptions,
  type PushProgress,
} from 'acr-promoter/oras';
import { MemoryRepository } from '../../support/memory-repository.js';
import { withFolder } from '../../support/artifacts.js';

/** Files in memory: a job's own, or blobs. */
function memorySource(files: Record<string, string>): FileSource & { opened: string[] } {
  const opened: string[] = [];
  return {
    opened,
    stat: (path) => {
      const text = files[path];
      if (text === undefined) return Promise.reject(new InputError('FILE_NOT_FOUND', `${path} is not there`));
      return Promise.resolve({ kind: 'file', sizeBytes: text.length });
    },
    open: async function* (path) {
      opened.push(path);
      yield Buffer.from(files[path] ?? '');
    },
    walk: async function* () {
      // There are no folders.
    },
  };
}

const FILES = { 'a.txt': 'one', 'b.txt': 'two', 'twin.txt': 'one', 'config.json': '{"a":1}' };

async function push(
  options: Omit<PushOptions, 'files'> & { files?: string[] },
  repository = new MemoryRepository(),
): Promise<{
  repository: MemoryRepository;
  json: unknown;
  states: string[];
  digest: string;
  source: { opened: string[] };
}> {
  const source = memorySource(FILES);
  const states: string[] = [];
  const pushed = await pushFiles(
    { repository, files: source },
    {
      ...options,
      files: (options.files ?? ['a.txt']).map(parseFileReference),
      onProgress: (progress) => {
        if (progress.state !== 'moving') states.push(describeProgress(progress));
      },
    },
  );
  const json: unknown = JSON.parse(Buffer.from(pushed.manifest).toString());
  expect(pushed.descriptor.digest).toBe(digestOf(pushed.manifest));
  expect(repository.manifests.has(pushed.descriptor.digest)).toBe(true);
  return { repository, json, states, digest: pushed.descriptor.digest, source };
}

function describeProgress(progress: PushProgress): string {
  if (progress.state === 'empty') return 'empty';
  if ('name' in progress) return `${progress.state} ${progress.name}`;
  const { annotations, mediaType } = progress.descriptor;
  return `${progress.state} ${annotations?.['org.opencontainers.image.title'] ?? mediaType}`;
}

const EMPTY = 'application/vnd.oci.empty.v1+json';
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';

describe('a push of files', () => {
  test('has the manifest of oras, created at the epoch', async () => {
    const { json, states } = await push({ files: ['a.txt', 'b.txt:text/plain'], tags: ['v1'] });
    expect(json).toEqual({
      schemaVersion: 2,
      mediaType: MANIFEST,
      artifactType: 'application/vnd.unknown.artifact.v1',
      config: { mediaType: EMPTY, digest: digestOf(Buffer.from('{}')), size: 2, data: 'e30=' },
      layers: [
        {
          mediaType: 'application/vnd.oci.image.layer.v1.tar',
          digest: digestOf(Buffer.from('one')),
          size: 3,
          annotations: { 'org.opencontainers.image.title': 'a.txt' },
        },
        {
          mediaType: 'text/plain',
          digest: digestOf(Buffer.from('two')),
          size: 3,
          annotations: { 'org.opencontainers.image.title': 'b.txt' },
        },
      ],
      annotations: { 'org.opencontainers.image.created': '1970-01-01T00:00:00Z' },
    });
    expect(states.slice(0, 2)).toEqual(['preparing a.txt', 'preparing b.txt']);
    expect(states.slice(-2)).toEqual([`uploading ${MANIFEST}`, `uploaded ${MANIFEST}`]);
    expect(states.toSorted()).toEqual(
      [
        'preparing a.txt',
        'preparing b.txt',
        ...['a.txt', 'b.txt', EMPTY, MANIFEST].flatMap((name) => [`uploading ${name}`, `uploaded ${name}`]),
      ].toSorted(),
    );
  });

  test('writes nothing the second time, not even a tag, but sets a tag that has moved', async () => {
    const { repository, digest } = await push({ tags: ['v1', 'v2'] });
    repository.calls.length = 0;
    const { states } = await push({ tags: ['v1', 'v2'] }, repository);
    expect(repository.count('pushManifest')).toBe(0);
    expect(states).toEqual(['preparing a.txt', `exists ${MANIFEST}`]);
    const other = await push({ files: ['b.txt'], tags: ['v1'] }, repository);
    expect(repository.tags.get('v1')).toBe(other.digest);
    await push({ tags: ['v1', 'v2'] }, repository);
    expect(repository.tags.get('v1')).toBe(digest);
  });

  test('restores a blob that its manifest has lost', async () => {
    const { repository } = await push({});
    repository.blobs.delete(digestOf(Buffer.from('one')));
    await push({}, repository);
    expect(repository.blobs.has(digestOf(Buffer.from('one')))).toBe(true);
  });

  test('with two names of the same bytes reads them twice, sends them once, and reports both', async () => {
    const { repository, states, source } = await push({ files: ['a.txt', 'twin.txt'] });
    expect(repository.calls.filter(({ method }) => method === 'pushBlob')).toHaveLength(2);
    expect(states).toContain('exists twin.txt');
    expect(source.opened.toSorted()).toEqual(['a.txt', 'a.txt', 'twin.txt']);
  });

  test('without a file has one empty layer', async () => {
    const { json, states } = await push({ files: [] });
    expect(json).toMatchObject({ layers: [{ mediaType: EMPTY, size: 2, data: 'e30=' }] });
    expect(states.filter((state) => state.includes(EMPTY))).toEqual([`uploading ${EMPTY}`, `uploaded ${EMPTY}`]);
    expect(states).toContain('empty');
  });

  test('to a digest is accepted only if the files give that digest', async () => {
    const { digest } = await push({});
    const wanted = digestOf(Buffer.from('other'));
    await expect(push({ digest: wanted })).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    expect((await push({ digest: digest as typeof wanted })).digest).toBe(digest);
  });

  test.each<[string, string[], string]>([
    ['missing', ['nope.txt'], 'FILE_NOT_FOUND'],
    ['absolute', ['/etc/passwd'], 'PATH_ABSOLUTE'],
    ['on a drive', ['C:\\a.txt:text/plain'], 'PATH_ABSOLUTE'],
    ['named twice', ['a.txt', './a.txt'], 'FILE_NAME_DUPLICATE'],
    ['without a name', [':text/plain'], 'FILE_REFERENCE_INVALID'],
  ])('a file that is %s', async (_what, files, code) => {
    const repository = new MemoryRepository();
    await expect((async () => push({ files }, repository))()).rejects.toMatchObject({ code });
    expect(repository.calls).toEqual([]);
  });

  test('that fails leaves no tag', async () => {
    const repository = new MemoryRepository();
    repository.failNth('pushBlob', 2, new Error('broken'));
    await expect(push({ tags: ['v1'], files: ['a.txt', 'b.txt'] }, repository)).rejects.toThrow('broken');
    expect([...repository.tags]).toEqual([]);
  });
});

describe('a push with a config, type or platform', () => {
  test('with only a config follows image spec 1.0: the media type of the config is the artifact type', async () => {
    const { json } = await push({ config: { path: 'config.json' } });
    expect(json).toMatchObject({
      config: { mediaType: 'application/vnd.unknown.config.v1+json', digest: digestOf(Buffer.from('{"a":1}')) },
    });
    expect(json).not.toHaveProperty('artifactType');
    expect(json).not.toHaveProperty('config.annotations');
  });

  test('with config and artifact type follows image spec 1.1', async () => {
    const { json } = await push({ config: { path: 'config.json', mediaType: 'x/y' }, artifactType: 'a/b' });
    expect(json).toMatchObject({ artifactType: 'a/b', config: { mediaType: 'x/y', size: 7 } });
  });

  test('with a platform creates a config', async () => {
    const platform = { os: 'linux', architecture: 'arm', variant: 'v7' };
    const { json, repository } = await push({ platform });
    const config = '{"architecture":"arm","os":"linux","variant":"v7"}';
    expect(json).toMatchObject({
      artifactType: 'application/vnd.unknown.artifact.v1',
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf(Buffer.from(config)) },
    });
    expect(Buffer.from(repository.blobs.get(digestOf(Buffer.from(config))) ?? []).toString()).toBe(config);
  });

  test.each<[string, Omit<PushOptions, 'files'>, string]>([
    ['a type that is none', { artifactType: 'none' }, 'ARTIFACT_TYPE_INVALID'],
    ['an empty type', { artifactType: '' }, 'ARTIFACT_TYPE_INVALID'],
    ['a config type that is none', { config: { path: 'config.json', mediaType: 'none' } }, 'ARTIFACT_TYPE_INVALID'],
    [
      'config and platform',
      { config: { path: 'config.json' }, platform: { os: 'a', architecture: 'b' } },
      'OPTIONS_EXCLUSIVE',
    ],
    ['1.1 with a config and no type', { config: { path: 'config.json' }, imageSpec: 'v1.1' }, 'OPTIONS_EXCLUSIVE'],
    [
      '1.0 with a config and a type',
      { config: { path: 'config.json' }, imageSpec: 'v1.0', artifactType: 'a/b' },
      'OPTIONS_EXCLUSIVE',
    ],
    [
      'a time of creation that is none',
      { annotations: { manifest: { 'org.opencontainers.image.created': '2026-13-01T00:00:00Z' } } },
      'ANNOTATION_INVALID',
    ],
  ])('%s', async (_what, options, code) => {
    await expect(push(options)).rejects.toMatchObject({ code });
  });
});

describe('annotations of a push', () => {
  test('come from flags', () => {
    expect(parseAnnotationFlags(['a=1', 'b=c=d', 'e=', '=f'])).toEqual({ a: '1', b: 'c=d', e: '', '': 'f' });
    expect(() => parseAnnotationFlags(['a'])).toThrow(expect.objectContaining({ code: 'ANNOTATION_INVALID' }));
    expect(() => parseAnnotationFlags(['a=1', 'a=1'])).toThrow(
      expect.objectContaining({ code: 'ANNOTATION_DUPLICATE' }),
    );
  });

  test('come from a file for the manifest, the config and files, which it can rename', async () => {
    const annotations = parseAnnotationFile(
      JSON.stringify({
        $manifest: { z: '<&>', a: '1' },
        $config: { c: '2' },
        'a.txt': { 'org.opencontainers.image.title': 'renamed.txt', f: '3' },
        './b.txt': { unused: 'the key is the path as it was given' },
      }),
      'annotations.json',
    );
    const { json, states } = await push({ annotations, files: ['a.txt', 'b.txt'], createdSeconds: 1_767_225_600 });
    expect(json).toMatchObject({
      config: { annotations: { c: '2' }, data: 'e30=' },
      layers: [
        { annotations: { f: '3', 'org.opencontainers.image.title': 'renamed.txt' } },
        { annotations: { 'org.opencontainers.image.title': 'b.txt' } },
      ],
      annotations: { a: '1', 'org.opencontainers.image.created': '2026-01-01T00:00:00Z', z: '<&>' },
    });
    expect(states).toContain('preparing renamed.txt');
  });

  test('cannot make a name empty', async () => {
    const annotations = parseAnnotationFile('{"a.txt":{"org.opencontainers.image.title":""}}', 'annotations.json');
    await expect(push({ annotations })).rejects.toMatchObject({ code: 'FILE_NAME_MISSING' });
  });

  test.each(['', '[]', '{"a":1}', '{"a":{"b":1}}', '{"a"'])('%j is no annotation file', (text) => {
    expect(() => parseAnnotationFile(text, 'x')).toThrow(expect.objectContaining({ code: 'ANNOTATION_FILE_INVALID' }));
  });
});

describe('a file reference', () => {
  test.each([
    ['a.txt', 'a.txt', undefined],
    ['a.txt:text/plain', 'a.txt', 'text/plain'],
    ['a:b.txt:', 'a:b.txt', undefined],
    ['a:b:c/d', 'a:b', 'c/d'],
  ])('%s is read', (text, path, mediaType) => {
    expect(parseFileReference(text)).toEqual({ path, ...(mediaType !== undefined && { mediaType }) });
  });
});

describe('a push of folders', () => {
  /** The same files, written at another time of day, in another order. */
  const makeFolder = async (folder: string, names: readonly string[], day: number): Promise<void> => {
    await mkdir(join(folder, 'd', 'sub'), { recursive: true });
    for (const name of names) {
      await writeFile(join(folder, 'd', name), name);
      await chmod(join(folder, 'd', name), name.endsWith('.sh') ? 0o755 : 0o644);
      await utimes(join(folder, 'd', name), day, day);
    }
    await symlink('../b', join(folder, 'd', 'sub', 'link'));
    await utimes(join(folder, 'd'), day, day);
  };
  const pushFolder = async (
    folder: string,
    options: Partial<PushOptions> = {},
  ): Promise<{
    digest: string;
    layer: Uint8Array;
    annotations: Record<string, string>;
    repository: MemoryRepository;
  }> => {
    const repository = new MemoryRepository();
    const pushed = await pushFiles(
      { repository, files: createFolderSource(folder) },
      { files: [{ path: './d/' }], ...options },
    );
    const { layers } = JSON.parse(Buffer.from(pushed.manifest).toString()) as {
      layers: { digest: string; mediaType: string; annotations: Record<string, string> }[];
    };
    const [layer] = layers;
    expect(layer?.mediaType).toBe('application/vnd.oci.image.layer.v1.tar+gzip');
    const bytes = repository.blobs.get(layer?.digest ?? '') ?? new Uint8Array();
    return { digest: pushed.descriptor.digest, layer: bytes, annotations: layer?.annotations ?? {}, repository };
  };

  test('gives the same digest for the same files', async () => {
    const digests: string[] = [];
    for (const [names, day] of [
      [['b', 'a.sh', 'B', 'sub/x'], 1_000_000],
      [['sub/x', 'B', 'a.sh', 'b'], 2_000_000],
    ] as const) {
      await withFolder(async (folder) => {
        await makeFolder(folder, names, day);
        digests.push((await pushFolder(folder)).digest);
      });
    }
    expect(digests[1]).toBe(digests[0]);
  });

  test('sorts names, begins them with the title, and includes nothing about this machine', async () => {
    await withFolder(async (folder) => {
      await makeFolder(folder, ['b', 'a.sh', 'B', 'sub/x'], 5_000_000);
      const { layer, annotations } = await pushFolder(folder, { createdSeconds: 8 });
      const tar = gunzipSync(layer);
      // 255, as Go writes it, whatever the system.
      expect(layer[9]).toBe(255);
      expect(annotations).toEqual({
        'io.deis.oras.content.digest': digestOf(tar),
        'io.deis.oras.content.unpack': 'true',
        'org.opencontainers.image.title': 'd',
      });
      const headers: string[] = [];
      for (let at = 0; tar[at] !== 0;) {
        const text = (from: number, length: number): string =>
          tar
            .subarray(at + from, at + from + length)
            .toString()
            .replace(/\0.*$/s, '')
            .trim();
        const size = Number.parseInt(text(124, 12), 8);
        headers.push(
          [
            text(0, 100),
            ...[100, 108, 116].map((from) => text(from, 8)),
            text(136, 12),
            text(157, 100),
            text(265, 32),
          ].join(' '),
        );
        at += 512 + Math.ceil(size / 512) * 512;
      }
      expect(headers).toEqual([
        'd 000755 000000 000000 00000000010  ',
        'd/B 000644 000000 000000 00000000010  ',
        'd/a.sh 000755 000000 000000 00000000010  ',
        'd/b 000644 000000 000000 00000000010  ',
        'd/sub 000755 000000 000000 00000000010  ',
        'd/sub/link 000777 000000 000000 00000000010 ../b ',
        'd/sub/x 000644 000000 000000 00000000010  ',
      ]);
    });
  });

  test('reads a link to a folder as the folder, and names a file that vanishes', async () => {
    await withFolder(async (folder) => {
      await makeFolder(folder, ['b'], 1);
      await symlink('d', join(folder, 'alias'));
      const { digest } = await pushFolder(folder, { files: [{ path: 'alias' }] });
      expect(digest).toMatch(/^sha256:/);
      const source = createFolderSource(folder);
      const repository = new MemoryRepository();
      const vanishing: FileSource = {
        ...source,
        open: async function* (path) {
          yield Buffer.from('longer than it was');
          yield* source.open(path);
        },
      };
      await expect(pushFiles({ repository, files: vanishing }, { files: [{ path: 'd' }] })).rejects.toMatchObject({
        code: 'FILE_CHANGED',
      });
    });
  });

  test('reads /dev/null as an empty file, and refuses other devices', async () => {
    const source = createFolderSource();
    const repository = new MemoryRepository();
    const options = { files: [{ path: '/dev/null' }], allowAbsolutePaths: true };
    const config = { path: '/dev/null', mediaType: 'a/b' };
    const { manifest } = await pushFiles({ repository, files: source }, { ...options, config });
    const empty = { digest: digestOf(new Uint8Array()), size: 0 };
    expect(JSON.parse(Buffer.from(manifest).toString())).toMatchObject({
      config: { mediaType: 'a/b', ...empty },
      layers: [empty],
    });
    await withFolder(async (folder) => {
      await symlink('/dev/null', join(folder, 'nothing'));
      await symlink('/dev/zero', join(folder, 'endless'));
      expect(await createFolderSource(folder).stat('nothing')).toEqual({ kind: 'file', sizeBytes: 0 });
      await expect(createFolderSource(folder).stat('endless')).rejects.toMatchObject({ code: 'NOT_A_FILE' });
    });
  });

  test('fails if a file cannot be opened', async () => {
    await withFolder(async (folder) => {
      await makeFolder(folder, ['b'], 1);
      const source = createFolderSource(folder);
      const broken: FileSource = {
        ...source,
        open: (path) => source.open(`${path}-gone`),
      };
      const repository = new MemoryRepository();
      await expect(pushFiles({ repository, files: broken }, { files: [{ path: 'd' }] })).rejects.toMatchObject({
        code: 'FILE_NOT_FOUND',
      });
    });
  });

  test('ends if it is interrupted', async () => {
    await withFolder(async (folder) => {
      await makeFolder(folder, ['b'], 1);
      const signal = AbortSignal.abort();
      await expect(pushFolder(folder, { signal })).rejects.toMatchObject({ name: 'AbortError' });
    });
  });
});
