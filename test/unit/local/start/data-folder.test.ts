import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { takeDataFolder } from '../../../../local/start/data-folder.js';

let parent: string;
let folder: string;
const children: ChildProcess[] = [];
beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), 'acr-promoter-data-'));
});
beforeEach(async () => {
  folder = await mkdtemp(join(parent, 'x'));
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }
});
afterAll(() => rm(parent, { recursive: true, force: true }));

/** A process whose command line looks like one of ours. At its end it writes a file, if one is named. */
async function processLike(script: string, liveMs = 60_000, lastly?: string): Promise<number> {
  const end = lastly === undefined ? '' : `require('node:fs').writeFileSync(${JSON.stringify(lastly)}, '')`;
  const program = `process.stdout.write('up'); setTimeout(() => { ${end} }, ${liveMs})`;
  const child = spawn(process.execPath, ['-e', program, '--', `dist/local/start/${script}.js`]);
  children.push(child);
  await once(child.stdout, 'data');
  return child.pid ?? 0;
}

function silent(): void {
  // Prints nothing.
}

test('a folder belongs to one start at a time, and to the next one after its release', async () => {
  const first = await takeDataFolder(folder, silent);
  expect(JSON.parse(await readFile(join(folder, 'start.json'), 'utf8'))).toMatchObject({ pid: process.pid });
  await first.release();
  await (await takeDataFolder(join(folder, 'made', 'for us'), silent)).release();
  await (await takeDataFolder(folder, silent)).release();
});

test('a folder in use by a living process is refused', async () => {
  const pid = await processLike('main');
  await writeFile(join(folder, 'start.json'), JSON.stringify({ pid }));
  await expect(takeDataFolder(folder, silent)).rejects.toMatchObject({
    code: 'DATA_DIR_IN_USE',
    message: expect.stringMatching(new RegExp(`${folder} .* process id ${pid}$`)),
  });
});

test.each([
  ['a process that has ended', async () => JSON.stringify({ pid: 2 ** 22 + 1 })],
  ['a process that is something else', async () => JSON.stringify({ pid: await processLike('unlike') })],
  ['a file that was cut off', async () => '{"pi'],
])('a folder left by %s can be used', async (_what, left) => {
  await writeFile(join(folder, 'start.json'), await left());
  await (await takeDataFolder(folder, silent)).release();
});

test('a start waits for the children of a killed one', async () => {
  const over = join(folder, 'over');
  const pid = await processLike('child', 1_000, over);
  await writeFile(join(folder, 'processes.json'), JSON.stringify({ host: pid, gone: 2 ** 22 + 1 }));
  const said: string[] = [];
  await (await takeDataFolder(folder, (text) => void said.push(text))).release();
  expect(said).toEqual([expect.stringContaining(`to end: ${pid} `)]);
  // Not by its process id: the child is a zombie until this process has collected it.
  expect(existsSync(over)).toBe(true);
});

test('a path that cannot be a folder is refused', async () => {
  await writeFile(join(folder, 'file'), '');
  for (const path of [join(folder, 'file'), '/proc/no-such-folder']) {
    await expect(takeDataFolder(path, silent)).rejects.toMatchObject({ code: 'DATA_DIR_UNUSABLE' });
  }
});
