import { expect, test } from '@jest/globals';
import { run } from '../../../src/cli/run.js';
import { createMemoryIo } from './memory-io.js';

async function helpOf(path: readonly string[]): Promise<string> {
  const { io, out } = createMemoryIo();
  expect(await run([...path, '--help'], io)).toBe(0);
  return out().toString();
}

/** Every command that does something, with its help. */
async function verbs(path: readonly string[] = []): Promise<{ path: string; help: string }[]> {
  const help = await helpOf(path);
  const listed = help.split('\nCommands:\n')[1]?.split('\n\n')[0]?.split('\n') ?? [];
  const names = listed.flatMap((line) => /^ {2}([a-z-]+)/.exec(line)?.[1] ?? []).filter((name) => name !== 'help');
  if (names.length === 0) return [{ path: path.join(' '), help }];
  return (await Promise.all(names.map((name) => verbs([...path, name])))).flat();
}

test('every verb’s help has an example of it', async () => {
  const all = await verbs();
  expect(all.map(({ path }) => path)).toEqual(expect.arrayContaining(['push', 'manifest index create', 'version']));
  expect(all.length).toBeGreaterThan(25);
  for (const { path, help } of all) {
    const [, examples = ''] = help.split('\nExamples:\n');
    expect(`${path}: ${examples}`).toMatch(new RegExp(`acr-promoter ${path}( |$)`, 'm'));
  }
});

test('the exit codes are in the help of all', async () => {
  expect(await helpOf([])).toMatch(/\nExit codes:\n {2}0 .*\n {2}1 .*\n {2}130 /);
});
