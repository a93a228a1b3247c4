import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeFolder } from 'acr-promoter/oci';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'make-folder-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('creates missing folders with the mode and returns the topmost one', async () => {
  expect(await makeFolder(join(folder, 'a', 'b', 'c'), 0o700)).toBe(join(folder, 'a'));
  expect(await makeFolder(join(folder, 'a', 'b', 'd'))).toBe(join(folder, 'a', 'b', 'd'));
  expect(await makeFolder(join(folder, 'a', 'b', 'd'))).toBeUndefined();
  expect((await stat(join(folder, 'a', 'b'))).mode & 0o777).toBe(0o700);
});

test('concurrent calls succeed', async () => {
  const path = join(folder, 'at', 'once', 'here');
  await Promise.all(Array.from({ length: 20 }, () => makeFolder(path)));
  expect((await stat(path)).isDirectory()).toBe(true);
});

test('a file in the way is an error', async () => {
  await writeFile(join(folder, 'file'), '');
  await expect(makeFolder(join(folder, 'file'))).rejects.toMatchObject({ code: 'EEXIST' });
  await expect(makeFolder(join(folder, 'file', 'x'))).rejects.toMatchObject({ code: 'ENOTDIR' });
});

// Node's recursive mkdir never ends there.
test('ends on a file system that refuses new folders', async () => {
  await expect(makeFolder('/proc/no-such-folder/x/y')).rejects.toMatchObject({ code: 'ENOENT' });
});
