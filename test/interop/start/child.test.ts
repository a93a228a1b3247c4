import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'acr-promoter-child-test-'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

test('a child whose parent was killed keeps its data, though nobody reads its output', async () => {
  const kept = join(folder, 'kept.txt');
  const script = join(folder, 'storage.mjs');
  // As Azurite does: it says that it closes, and then writes its files.
  await writeFile(
    script,
    `import { writeFileSync } from 'node:fs';
     const up = setInterval(() => undefined, 1_000);
     process.once('SIGTERM', () => {
       console.log('closing');
       setImmediate(() => Promise.resolve().then(() => console.log('closed')));
       setTimeout(() => { writeFileSync(${JSON.stringify(kept)}, 'all of it'); clearInterval(up); }, 100);
     });
     console.log('ready');`,
  );
  const child = spawn(process.execPath, ['dist/local/start/child.js', 'azurite', folder, script], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const ended = once(child, 'exit');
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error('it has no pipes');
  await once(stdout, 'data');
  stdout.destroy();
  stderr.destroy();
  child.disconnect();
  await ended;
  expect(await readFile(kept, 'utf8')).toBe('all of it');
});
