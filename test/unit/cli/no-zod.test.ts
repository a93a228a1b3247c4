import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { createMemoryIo } from '../../support/memory-io.js';

// Schemas are for queue, HTTP and rows: what a command does on this machine needs none, and starts faster without.
let loads = 0;
jest.unstable_mockModule('zod', () => {
  loads += 1;
  throw new Error('zod was loaded');
});

let folder: string;
const before = process.cwd();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'no-zod-'));
  process.chdir(folder);
  await writeFile('hi.txt', 'hi');
});
afterAll(async () => {
  process.chdir(before);
  await rm(folder, { recursive: true, force: true });
});

async function acrPromoter(line: string): Promise<string> {
  const { run } = await import('../../../src/cli/run.js');
  const { io, out, err } = createMemoryIo();
  const code = await run(line.split(' '), io);
  expect([line, code, err()]).toEqual([line, 0, '']);
  return out().toString();
}

test('a verb that runs on this machine does not load zod', async () => {
  await acrPromoter('push --oci-layout l:v1 hi.txt:text/plain');
  await acrPromoter('attach --oci-layout l:v1 hi.txt --artifact-type a/b');
  await acrPromoter('tag --oci-layout l:v1 v2');
  await acrPromoter('discover --oci-layout l:v1');
  await acrPromoter('repo tags --oci-layout l');
  await acrPromoter('copy -r --from-oci-layout --to-oci-layout l:v1 m:v1');
  await acrPromoter('pull --oci-layout l:v1 -o out');
  await acrPromoter('manifest fetch --oci-layout l:v1 --output m.json');
  await acrPromoter('manifest fetch-config --oci-layout l:v1');
  await acrPromoter('manifest push --oci-layout l:v3 m.json');
  await acrPromoter('manifest index create --oci-layout l:i v1');
  await acrPromoter('manifest index update --oci-layout l:i --add v3');
  const digest = (await acrPromoter('blob push --oci-layout l hi.txt')).match(/sha256:\w+/)?.[0] ?? '';
  await acrPromoter(`blob fetch --oci-layout l@${digest} --output blob`);
  expect(await readFile('blob', 'utf8')).toBe('hi');
  await acrPromoter('resolve --oci-layout l:v1');
  await acrPromoter('manifest delete --oci-layout --force l:v3');
  await acrPromoter(`blob delete --oci-layout --force l@${digest}`);
  await acrPromoter('version');
  expect(loads).toBe(0);
});

test('the test notices zod: a submitted job loads it to read the answer', async () => {
  await expect(import('../../../src/cli/app/jobs-answers.js')).rejects.toThrow('zod was loaded');
});
