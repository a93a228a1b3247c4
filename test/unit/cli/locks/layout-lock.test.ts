import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLayout } from 'acr-promoter/oci';
import { createLocalLease } from '../../../../src/cli/connection/connection.js';
import { lockLayout } from '../../../../src/cli/locks/layout-lock.js';
import { run } from '../../../../src/cli/run.js';
import { createMemoryIo } from '../../../support/memory-io.js';

let folder = '';
beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'layout-lock-')));
  await writeFile(join(folder, 'a.txt'), 'hello');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const push = (layout: string, tag: string): string[] => {
  const file = join(folder, 'a.txt');
  return ['push', '--disable-path-validation', '--oci-layout', `${layout}:${tag}`, '-a', `tag=${tag}`, file];
};

describe('a layout is written to by one command at a time', () => {
  test('parallel pushes lose nothing', async () => {
    const layout = join(folder, 'storm');
    const tags = Array.from({ length: 12 }, (_, at) => `t${at}`).sort();
    const codes = await Promise.all(tags.map((tag) => run(push(layout, tag), createMemoryIo().io)));
    expect(codes).toEqual(tags.map(() => 0));
    const { io, out } = createMemoryIo();
    await run(['repo', 'tags', '--oci-layout', layout], io);
    expect(out().toString().trim().split('\n')).toEqual(tags);
  });

  const asking = (layout: string): Record<string, string[]> => ({
    push: push(layout, 'v2'),
    copy: ['cp', '--from-oci-layout', `${layout}:v1`, '--to-oci-layout', `${layout}:v2`],
    tag: ['tag', '--oci-layout', `${layout}:v1`, 'v2'],
    attach: ['attach', '--oci-layout', `${layout}:v1`, '--artifact-type', 'x/y', '-a', 'a=b'],
    'manifest push': ['manifest', 'push', '--oci-layout', `${layout}:v2`, join(folder, 'index.json')],
    'manifest delete': ['manifest', 'delete', '-f', '--oci-layout', `${layout}:v1`],
    'manifest index create': ['manifest', 'index', 'create', '--oci-layout', `${layout}:v2`, 'v1'],
    'manifest index create -o ""': ['manifest', 'index', 'create', '-o', '', '--oci-layout', `${layout}:v2`, 'v1'],
    'manifest index update': ['manifest', 'index', 'update', '--oci-layout', `${layout}:idx`, '--add', 'v1'],
    'blob push': ['blob', 'push', '--oci-layout', layout, join(folder, 'a.txt')],
    'blob delete': ['blob', 'delete', '-f', '--oci-layout', `${layout}@sha256:${'0'.repeat(64)}`],
  });

  test.each(Object.keys(asking('')))('%s waits, says so, and goes on', async (verb) => {
    const layout = join(folder, verb.replaceAll(/\W+/g, '-'));
    await run(push(layout, 'v1'), createMemoryIo().io);
    await run(['manifest', 'index', 'create', '--oci-layout', `${layout}:idx`], createMemoryIo().io);
    await writeFile(
      join(folder, 'index.json'),
      '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}',
    );
    const held = await createLocalLease().acquire(`layout ${layout}`);
    const { io } = createMemoryIo();
    const isTold = new Promise<string>((resolve) => {
      io.err = (text) => resolve(text);
    });
    const done = run(asking(layout)[verb] ?? [], io);
    expect(await Promise.race([done, isTold])).toBe(`Waiting for another command that writes to ${layout}\n`);
    await held?.release();
    expect(await done).toBe(0);
  });

  test('reading does not wait for the lock', async () => {
    const layout = join(folder, 'read');
    await run(push(layout, 'v1'), createMemoryIo().io);
    const held = await createLocalLease().acquire(`layout ${layout}`);
    for (const words of ['repo tags', 'resolve', 'discover', 'manifest fetch', 'manifest fetch-config']) {
      const { io, err } = createMemoryIo();
      expect([await run([...words.split(' '), '--oci-layout', `${layout}:v1`], io), err()]).toEqual([0, '']);
    }
    await held?.release();
  });

  test('an interrupted wait leaves the lock alone', async () => {
    const layout = join(folder, 'stopped');
    const held = await createLocalLease().acquire(`layout ${layout}`);
    const stopping = new AbortController();
    const { io } = createMemoryIo({ signal: stopping.signal });
    const done = run(push(layout, 'v1'), { ...io, err: () => stopping.abort() });
    expect(await done).not.toBe(0);
    await held?.release();
    await expect(openLayout(layout)).rejects.toMatchObject({ code: 'LAYOUT_NOT_FOUND' });
  });

  test('every path of a layout has the same lock, before and after it exists', async () => {
    await mkdir(join(folder, 'real'));
    await symlink(join(folder, 'real'), join(folder, 'link'));
    const { io } = createMemoryIo();
    for (const name of ['real/new', 'link/new', 'link/../real/./new/']) {
      const lock = await lockLayout(join(folder, name), io);
      expect(await createLocalLease().acquire(`layout ${join(folder, 'real', 'new')}`)).toBeUndefined();
      await lock.release();
    }
  });
});
