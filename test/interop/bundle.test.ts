import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { runProgram } from './oras/side-by-side.js';

// The command as it is installed: what it loads to start, and what that costs.

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const COMMAND = join(ROOT, 'bin/acr-promoter.mjs');
const BUNDLE = join(ROOT, 'dist/bundle/acr-promoter.mjs');
const TREE = join(ROOT, 'dist/src/cli/main.js');

/** The files that a file of the bundle loads when it is loaded, itself included; not what it imports when it is wanted. */
async function loadedBy(path: string, seen = new Map<string, string>()): Promise<Map<string, string>> {
  if (seen.has(path)) return seen;
  const text = await readFile(path, 'utf8');
  seen.set(path, text);
  for (const [, other = ''] of text.matchAll(/\bimport(?:\{[^}]*\}from)?"(\.{1,2}\/[^"]+\.mjs)";/g)) {
    await loadedBy(join(dirname(path), other), seen);
  }
  return seen;
}

test('the bundle starts without loading Azure sign-in, zod, signing or SBOM code', async () => {
  const loaded = [...(await loadedBy(BUNDLE)).values()].join('\n');
  // Of the file itself, and of a part.
  for (const needed of ['addConnectionOptions', 'UND_ERR_SOCKET']) expect(loaded).toContain(needed);
  for (const late of ['DefaultAzureCredential', 'ZodObject', 'AsnConvert', 'createStreamingSbomGenerator']) {
    expect({ late, isLoaded: loaded.includes(late) }).toEqual({ late, isLoaded: false });
  }
});

test('making an SBOM loads neither zod nor signing code', async () => {
  const parts = join(ROOT, 'dist/bundle/parts');
  const [entry = 'none'] = (await readdir(parts)).filter((name) => /^sboms-\w+\.mjs$/.test(name));
  const loaded = [...(await loadedBy(join(parts, entry))).values()].join('\n');
  expect(loaded).toContain('createStreamingSbomGenerator');
  for (const late of ['ZodObject', 'AsnConvert']) {
    expect({ late, isLoaded: loaded.includes(late) }).toEqual({ late, isLoaded: false });
  }
});

/** CPU of a start, in milliseconds: the least of several, which other work on this machine disturbs least. */
async function startCost(script: string): Promise<number> {
  const tell = `data:text/javascript,process.on('exit',()=>process.stderr.write('CPU '+JSON.stringify(process.cpuUsage())))`;
  const costs: number[] = [];
  for (let turn = 0; turn < 6; turn += 1) {
    const { code, err } = await runProgram(process.execPath, ['--import', tell, script, '--help']);
    expect(code).toBe(0);
    const { user, system } = JSON.parse(/CPU (\{.*\})/.exec(err)?.[1] ?? '{}') as { user: number; system: number };
    costs.push((user + system) / 1000);
  }
  return Math.min(...costs);
}

test('the bundle starts in under half the time of the module tree', async () => {
  const [bundle, tree] = [await startCost(COMMAND), await startCost(TREE)];
  process.stdout.write(`start: ${bundle.toFixed(0)} ms of CPU, the tree ${tree.toFixed(0)} ms\n`);
  expect(bundle).toBeLessThan(tree / 2);
}, 60_000);
