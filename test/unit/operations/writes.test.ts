import { beforeEach, describe, expect, test } from '@jest/globals';
import { checkedBlobName } from '../../../src/azure/documents.js';
import { OCI_IMAGE_INDEX, PromoterError, type Descriptor } from '../../../src/oci/index.js';
import { again, blobOf, newJobWorld, openJobRun, perform, pushSample, valueOf } from '../../support/job-world.js';
import { REGISTRY, runOf, tagAt, type World } from '../../support/world.js';
import type { MemoryRepository } from '../../support/memory-repository.js';

const APP = `${REGISTRY}/samples/app`;
let world: World;
let root: Descriptor;
let app: MemoryRepository;

beforeEach(async () => {
  world = newJobWorld();
  root = await pushSample(world, 'samples/app', 'v1');
  app = world.registries.repository(REGISTRY, 'samples/app');
});

describe('two files of which one has the other’s name as its folder', () => {
  const push = { operation: 'push', reference: `${APP}:pushed` };
  const attach = { operation: 'attach', reference: `${APP}:v1`, artifactType: 'a/b' };
  const pair = [
    { path: 'a/b', text: '1' },
    { path: 'a', text: '2' },
  ];

  test.each([
    ['in this order', push, pair],
    ['in the other', push, pair.toReversed()],
    ['attached', attach, pair],
    [
      'by a title',
      push,
      [
        { path: 'x', text: '1', annotations: { 'org.opencontainers.image.title': 'a' } },
        { path: 'a/b', text: '2' },
      ],
    ],
  ])('are refused, because nobody could pull them: %s', async (_how, job, files) => {
    const before = app.manifests.size;
    await expect(perform(world, { ...job, files })).rejects.toMatchObject({ code: 'FILE_NAME_DUPLICATE' });
    expect(app.manifests.size).toBe(before);
  });

  test('are allowed if one is a folder, or if the names only begin alike', async () => {
    world.files.kept.set('source/docs/a.txt', Buffer.from('a'));
    await perform(world, { ...push, files: [{ path: 'docs' }, { path: 'docs/b.txt', text: 'b' }] });
    await perform(
      world,
      {
        ...push,
        files: [
          { path: 'a', text: '1' },
          { path: 'ab/c', text: '2' },
        ],
      },
      'r2',
    );
    expect(tagAt(world, `${APP}:pushed`)).toBeDefined();
  });
});

describe('a push job', () => {
  const job = {
    operation: 'push',
    reference: `${APP}:pushed`,
    tags: ['latest'],
    artifactType: 'doc/example',
    annotations: { team: 'docs' },
    files: [
      { path: 'docs/a.txt', mediaType: 'text/plain', annotations: { lang: 'en' } },
      { path: 'b.bin', base64: Buffer.from([0, 1, 2]).toString('base64') },
    ],
  };

  test('pushes blobs of the container and inline content under every tag; the same files give the same digest', async () => {
    world.files.kept.set('source/docs/a.txt', Buffer.from('from a blob'));
    const value = (await valueOf(world, job)) as { digest: string };
    expect(value).toMatchObject({ tags: ['pushed', 'latest'], annotations: { team: 'docs' } });
    expect(tagAt(world, `${APP}:pushed`)).toBe(value.digest);
    expect(tagAt(world, `${APP}:latest`)).toBe(value.digest);
    const { manifest } = app.manifests.get(value.digest) ?? {};
    expect(manifest).toMatchObject({
      artifactType: 'doc/example',
      layers: [
        {
          mediaType: 'text/plain',
          size: 11,
          annotations: { lang: 'en', 'org.opencontainers.image.title': 'docs/a.txt' },
        },
        { size: 3, annotations: { 'org.opencontainers.image.title': 'b.bin' } },
      ],
    });
    expect(app.blobs.get(blobOf('from a blob').digest)).toEqual(Buffer.from('from a blob'));
    expect(await again(world)).toEqual({ done: { digest: value.digest } });
  });

  test('pushes nothing if a blob is missing', async () => {
    const before = app.manifests.size;
    await expect(perform(world, job)).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
    expect(app.manifests.size).toBe(before);
  });
});

describe('an attach job', () => {
  const job = {
    operation: 'attach',
    reference: `${APP}:v1`,
    artifactType: 'review/example',
    files: [{ path: 'review.json', text: '{}' }],
  };

  test('attaches once, however often it is repeated', async () => {
    const value = (await valueOf(world, job)) as { digest: string };
    expect(value).toMatchObject({ subject: { digest: root.digest }, artifactType: 'review/example' });
    await again(world);
    expect(await app.listReferrers(root.digest)).toMatchObject([{ digest: value.digest }]);
  });

  test('waits for the lease of the subject', async () => {
    const held = await world.lease.acquire(`subject ${REGISTRY}/samples/app@${root.digest}`);
    await openJobRun(world, job);
    expect(await again(world)).toEqual({ retryAfterMs: expect.any(Number) });
    expect(await app.listReferrers(root.digest)).toEqual([]);
    await held?.release();
    expect(await again(world)).toHaveProperty('done');
  });
});

describe('a pull job', () => {
  test('writes to the container below the run’s id exactly what was pushed', async () => {
    const value = await valueOf(world, { operation: 'pull', reference: `${APP}:v1` });
    expect(value).toMatchObject({
      digest: root.digest,
      files: [{ path: 'hello.txt', blob: 'r1/hello.txt', sizeBytes: 5 }],
      layers: [{ blob: 'r1/hello.txt', reference: expect.stringContaining(`${APP}@sha256:`), size: 5 }],
      leftOut: [],
    });
    expect(world.files.kept.get('target/r1/hello.txt')).toEqual(Buffer.from('hello'));
    // After a crash it is done again.
    expect(await again(world)).toHaveProperty('done');
  });

  test('with keepOldFiles replaces no file', async () => {
    world.files.kept.set('target/docs/hello.txt', Buffer.from('mine'));
    const job = { operation: 'pull', reference: `${APP}:v1`, output: 'docs', keepOldFiles: true };
    await expect(perform(world, job, 'a')).rejects.toMatchObject({ code: 'FILE_EXISTS' });
    expect(world.files.kept.get('target/docs/hello.txt')).toEqual(Buffer.from('mine'));
    await perform(world, { ...job, keepOldFiles: false }, 'b');
    expect(world.files.kept.get('target/docs/hello.txt')).toEqual(Buffer.from('hello'));
  });

  test.each(['../../evil', '/etc/evil', 'a/../../evil'])(
    'a name that leads out (%s): nothing is put',
    async (title) => {
      const push = {
        operation: 'push',
        reference: `${APP}:evil`,
        files: [{ path: 'x', text: 'x', annotations: { 'org.opencontainers.image.title': title } }],
      };
      await perform(world, push, 'push');
      await expect(perform(world, { operation: 'pull', reference: `${APP}:evil` }, 'pull')).rejects.toMatchObject({
        code: 'PATH_OUTSIDE',
      });
      expect(world.files.kept.size).toBe(0);
    },
  );

  const titled = (title: string): Record<string, unknown> => ({
    path: `x${title.length}`,
    text: title,
    annotations: { 'org.opencontainers.image.title': title },
  });

  test.each(['ä'.repeat(120) + '/' + 'ä'.repeat(100), 'b/'.repeat(260) + 'b'])(
    'a name that no blob can have: nothing is put',
    async (title) => {
      const files = [titled('a'), titled(title)];
      await perform(world, { operation: 'push', reference: `${APP}:long`, files }, 'push');
      await expect(perform(world, { operation: 'pull', reference: `${APP}:long` }, 'pull')).rejects.toMatchObject({
        code: 'FILE_NAME_INVALID',
      });
      expect(world.files.kept.size).toBe(0);
    },
  );

  test.each([
    'a\nb',
    'a?b#c',
    'a%2f..%2fb',
    '%2e%2e/b',
    ' ',
    'a\u0000b',
    'a\\..\\b',
    '.',
    '..',
    './/a',
    '\ud800',
    'ä'.repeat(130),
    'CON',
    '~/a',
    '$(x)',
    '-rf',
    'a/b/../c',
    'C:\\x',
    'x'.repeat(300),
  ])('writes a file called %j below the folder under a valid blob name, or refuses it', async (title) => {
    await perform(world, { operation: 'push', reference: `${APP}:odd`, files: [titled(title)] }, 'push');
    const pull = { operation: 'pull', reference: `${APP}:odd`, output: 'out' };
    const error = await perform(world, pull, 'pull').then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    const names = [...world.files.kept.keys()];
    if (error !== undefined) {
      expect(error).toBeInstanceOf(PromoterError);
      expect(names).toEqual([]);
    }
    for (const name of names) {
      expect(name).toMatch(/^target\/out\/[\x21-\x5b\x5d-\x7e]+$/);
      expect(checkedBlobName('target', name.slice('target/'.length))).toBe(name.slice('target/'.length));
      expect(new URL(`https://a.example/${name}`).pathname.startsWith('/target/out/')).toBe(true);
    }
  });

  test('encodes a name that is not a valid blob name', async () => {
    const files = [{ path: 'x', text: 'x', annotations: { 'org.opencontainers.image.title': 'a b/ü.' } }];
    await perform(world, { operation: 'push', reference: `${APP}:odd`, files }, 'push');
    expect(await valueOf(world, { operation: 'pull', reference: `${APP}:odd` }, 'pull')).toMatchObject({
      files: [{ path: 'a b/ü.', blob: 'pull/a%20b/%C3%BC%2E' }],
    });
  });
});

test('a tag job sets its tags', async () => {
  expect(await valueOf(world, { operation: 'tag', reference: `${APP}:v1`, tags: ['x', 'y'] })).toMatchObject({
    digest: root.digest,
    tags: ['x', 'y'],
  });
  expect([tagAt(world, `${APP}:x`), tagAt(world, `${APP}:y`)]).toEqual([root.digest, root.digest]);
});

describe('a job for manifests', () => {
  test('pushes a manifest unchanged', async () => {
    const bytes = Buffer.from(app.manifests.get(root.digest)?.bytes ?? []);
    const file = { path: 'm.json', mediaType: root.mediaType, base64: bytes.toString('base64') };
    const job = { operation: 'manifest.push', reference: `${APP}:again`, tags: ['more'], file };
    expect(await valueOf(world, job)).toMatchObject({ digest: root.digest, tags: ['again', 'more'] });
    expect(tagAt(world, `${APP}:more`)).toBe(root.digest);
  });

  test('creates and changes an index, and moves its tag', async () => {
    const other = await pushSample(world, 'samples/app', 'v2', 'other');
    const create = { operation: 'manifest.index.create', reference: `${APP}:multi`, manifests: ['v1'] };
    const made = (await valueOf(world, create, 'a')) as { digest: string };
    expect(made).toMatchObject({ mediaType: OCI_IMAGE_INDEX, tags: ['multi'] });
    const update = {
      operation: 'manifest.index.update',
      reference: `${APP}:multi`,
      add: ['v2'],
      remove: [root.digest],
    };
    const changed = (await valueOf(world, update, 'b')) as { digest: string };
    expect(tagAt(world, `${APP}:multi`)).toBe(changed.digest);
    expect(app.manifests.get(changed.digest)?.manifest).toMatchObject({ manifests: [{ digest: other.digest }] });
    expect(app.manifests.has(made.digest)).toBe(true);
  });
});

test('a blob job pushes a blob', async () => {
  const { digest, bytes } = blobOf('a blob');
  expect(
    await valueOf(world, { operation: 'blob.push', reference: APP, file: { path: 'b', text: 'a blob' } }),
  ).toMatchObject({ digest, size: 6 });
  expect(app.blobs.get(digest)).toEqual(bytes);
});

describe('a delete job', () => {
  test('deletes a manifest with its tags', async () => {
    const value = await valueOf(world, { operation: 'manifest.delete', reference: `${APP}:v1` });
    expect(value).toMatchObject({ digest: root.digest, deleted: true });
    expect(tagAt(world, `${APP}:v1`)).toBeUndefined();
  });

  test('deletes after a crash what it found first, whatever the tag names then', async () => {
    await openJobRun(world, { operation: 'manifest.delete', reference: `${APP}:v1` });
    app.failNth('deleteManifest', 1, new Error('crashed'));
    await expect(again(world)).rejects.toThrow('crashed');
    app.fault = undefined;
    const newer = await pushSample(world, 'samples/app', 'v1', 'newer');
    expect(await again(world)).toHaveProperty('done');
    expect(app.manifests.has(root.digest)).toBe(false);
    expect(tagAt(world, `${APP}:v1`)).toBe(newer.digest);
    // Gone is gone: a third time finds nothing, and that is right.
    expect(await again(world)).toHaveProperty('done');
    expect((await runOf(world, 'r1')).output).toMatchObject({ value: { deleted: true } });
  });

  test('fails if nothing has the name', async () => {
    await expect(perform(world, { operation: 'manifest.delete', reference: `${APP}:v9` })).rejects.toMatchObject({
      code: 'MANIFEST_UNKNOWN',
    });
  });

  test('deletes a blob', async () => {
    const { digest } = blobOf('hello');
    const job = { operation: 'blob.delete', reference: `${APP}@${digest}` };
    expect(await valueOf(world, job)).toMatchObject({ digest, deleted: true });
    expect(app.blobs.has(digest)).toBe(false);
  });
});
