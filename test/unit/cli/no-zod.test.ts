import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

// Schemas are for queue, HTTP and rows: what a command does on this machine needs none, and starts faster without.
const CHILD = join(import.meta.dirname, 'no-zod.child.ts');
const LOADER = new URL('../../support/typescript-loader.mjs', import.meta.url).href;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'no-zod-'));
  await writeFile(join(folder, 'hi.txt'), 'hi');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function runChild(...modules: string[]): { status: number | null; stderr: string } {
  const args = ['--no-warnings', '--import', LOADER, CHILD, ...modules];
  return spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
}

test('a verb that runs on this machine does not load zod', async () => {
  expect(runChild()).toMatchObject({ status: 0, stderr: '' });
  expect(await readFile(join(folder, 'blob'), 'utf8')).toBe('hi');
});

test('the test notices zod: a submitted job loads it to read the answer', () => {
  const { status, stderr } = runChild('../../../src/cli/app/answers.js');
  expect([status, stderr]).toEqual([1, expect.stringContaining('zod was loaded')]);
});
