import { mkdtemp, readdir, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { folderLayers, layerFolder } from '../../../../src/cli/local/layer-cache.js';

let folder: string;
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'layers-')), 'a', 'b');
});
afterEach(() => rm(join(folder, '../..'), { recursive: true, force: true }));

test('the folder is in the cache of the user', () => {
  expect(layerFolder({ HOME: '/home/x' })).toBe('/home/x/.cache/acr-promoter/layers');
  expect(layerFolder({ HOME: '/home/x', XDG_CACHE_HOME: '/cache' })).toBe('/cache/acr-promoter/layers');
  expect(layerFolder({ XDG_CACHE_HOME: 'relative', HOME: '/home/x' })).toBe('/home/x/.cache/acr-promoter/layers');
  expect(layerFolder({})).toBeUndefined();
});

test('what is written is read again, and only its owner can read it', async () => {
  const layers = folderLayers(folder);
  expect(await layers.read('key')).toBeUndefined();
  await layers.write('key', Buffer.from('one'));
  await layers.write('key', Buffer.from('two'));
  expect(Buffer.from((await layers.read('key')) ?? []).toString()).toBe('two');
  expect(await readdir(folder)).toEqual(['key']);
  expect((await stat(folder)).mode & 0o777).toBe(0o700);
  expect((await stat(join(folder, 'key'))).mode & 0o777).toBe(0o600);
});

test('a folder that cannot be written is no error', async () => {
  await writeFile(join(folder, '../..', 'a'), 'a file');
  const layers = folderLayers(folder);
  await layers.write('key', Buffer.from('one'));
  expect(await layers.read('key')).toBeUndefined();
});

test('the layers that were used longest ago are removed, and what a crash has left', async () => {
  const layers = folderLayers(folder);
  const large = 200 * 1024 ** 2;
  const names = ['a', 'b', 'c', 'd.new', 'e.new'];
  for (const name of names) await layers.write(name, Buffer.from('x'));
  for (const [at, name] of names.entries()) {
    // A file with a hole takes no room.
    await truncate(join(folder, name), large);
    await utimes(join(folder, name), at + 1, at + 1);
  }
  await layers.read('a');
  await writeFile(join(folder, 'e.new'), 'of another process');
  await layers.write('f', Buffer.from('x'));
  expect(await readdir(folder)).toEqual(['a', 'c', 'e.new', 'f']);
});
