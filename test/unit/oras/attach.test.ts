import { describe, expect, test } from '@jest/globals';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Descriptor } from 'acr-promoter/oci';
import { attachFiles, createFolderSource, type Attached, type AttachOptions } from 'acr-promoter/oras';
import { MemoryRepository } from '../../support/memory-repository.js';
import { putArtifact, withFolder } from '../../support/artifacts.js';

async function withSubject(
  work: (
    repository: MemoryRepository,
    root: Descriptor,
    attach: (options?: Partial<AttachOptions>, subject?: Descriptor) => Promise<Attached>,
  ) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    await writeFile(join(folder, 'note.txt'), 'a note');
    const repository = new MemoryRepository();
    const root = await putArtifact(repository, [{ title: 'a', bytes: Buffer.from('a') }], { tag: 'v1' });
    const files = createFolderSource(folder);
    await work(repository, root, (options = {}, subject = root) =>
      attachFiles({ repository, files }, subject, { artifactType: 'a/b', files: [{ path: 'note.txt' }], ...options }),
    );
  });
}

test('the subject is named by media type, digest and size', async () => {
  await withSubject(async (repository, root, attach) => {
    const { manifest } = await attach({}, { ...root, platform: { os: 'linux', architecture: 'arm' } });
    expect(JSON.parse(Buffer.from(manifest).toString())).toMatchObject({
      artifactType: 'a/b',
      subject: { mediaType: root.mediaType, digest: root.digest, size: root.size },
    });
    expect(Buffer.from(manifest).toString()).not.toContain('platform');
    expect(await repository.listReferrers(root.digest)).toHaveLength(1);
  });
});

test('the same attachment is made once, even by two concurrent calls; other files make another', async () => {
  await withSubject(async (repository, root, attach) => {
    const [first, second] = await Promise.all([attach(), attach()]);
    const third = await attach();
    expect(new Set([first, second, third].map(({ descriptor }) => descriptor.digest)).size).toBe(1);
    expect(await repository.listReferrers(root.digest)).toHaveLength(1);
    const signature = await attach({ artifactType: 'signature/example' }, first.descriptor);
    expect(signature.subject.digest).toBe(first.descriptor.digest);
    expect(await repository.listReferrers(first.descriptor.digest)).toHaveLength(1);
  });
});

test('an attachment needs annotations or files', async () => {
  await withSubject(async (_repository, _root, attach) => {
    const { manifest } = await attach({ files: [], annotations: { manifest: { reviewed: 'yes' } } });
    expect(JSON.parse(Buffer.from(manifest).toString())).toMatchObject({
      layers: [{ mediaType: 'application/vnd.oci.empty.v1+json' }],
      annotations: { reviewed: 'yes' },
    });
    await expect(attach({ files: [] })).rejects.toMatchObject({ code: 'NOTHING_TO_ATTACH' });
    await expect(attach({ files: [], annotations: { config: { a: 'b' } } })).rejects.toMatchObject({
      code: 'NOTHING_TO_ATTACH',
    });
  });
});

describe('a referrer that the registry loses', () => {
  test('is pushed again', async () => {
    await withSubject(async (repository, root, attach) => {
      repository.loseReferrers = 1;
      const { descriptor } = await attach();
      expect((await repository.listReferrers(root.digest)).map(({ digest }) => digest)).toEqual([descriptor.digest]);
    });
  });

  test('is pushed again by the next attach of the same files', async () => {
    await withSubject(async (repository, root, attach) => {
      const { descriptor } = await attach();
      repository.unlisted.add(descriptor.digest);
      await expect(attach()).rejects.toMatchObject({ code: 'REFERRER_LOST' });
      repository.unlisted.clear();
      await attach();
      expect(await repository.listReferrers(root.digest)).toHaveLength(1);
    });
  });

  test('is an error if the registry never keeps it', async () => {
    await withSubject(async (repository, _root, attach) => {
      repository.loseReferrers = 100;
      await expect(attach()).rejects.toMatchObject({ code: 'REFERRER_LOST' });
      expect(repository.count('pushManifest')).toBe(5);
    });
  });
});
