import { describe, expect, test } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { run } from '../../../src/cli/run.js';
import { VERSION } from '../../../src/cli/version.js';
import { createMemoryIo } from './memory-io.js';

async function acrPromoter(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const { io, out, err } = createMemoryIo();
  const code = await run(argv, io);
  return { code, out: out().toString(), err: err() };
}

describe('completion', () => {
  test.each(['bash', 'zsh', 'fish'])('%s knows commands, aliases and options', async (shell) => {
    const { code, out, err } = await acrPromoter('completion', shell);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    for (const path of [' copy', ' cp', ' manifest index update', ' repository ls', ' blob rm', ' login']) {
      expect(out).toContain(`' ${path.trim()}'`);
    }
    for (const option of ['identity-token-stdin', 'exclude-artifact-type', 'merge']) expect(out).toContain(option);
    // What describes an option may hold quotes: none must end the script's own.
    expect(out.split("'").length % 2).toBe(1);
  });

  test('another shell is refused', async () => {
    const { code, out, err } = await acrPromoter('completion', 'csh');
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain('(OPTION_INVALID)');
  });
});

test('the version is package.json’s', async () => {
  const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string };
  expect(VERSION).toBe(version);
  expect((await acrPromoter('version')).out).toMatch(
    new RegExp(
      `^Version: +${version.replaceAll('.', '\\.')}\\nNode version: v\\d+\\.\\d+\\.\\d+\\nOS/Arch: +\\w+/x64\\n$`,
    ),
  );
});

/** Every command that does something, as it is typed. */
async function leaves(): Promise<string[][]> {
  const { out } = await acrPromoter('completion', 'bash');
  const known = [...out.matchAll(/^ {4}'([^']*)'\) words='([^']*)'/gm)];
  return known.flatMap(([, path = '', words]) => (words === '' && path !== '' ? [path.trim().split(' ')] : []));
}

test('every command has help with an example, and its options said in words', async () => {
  const commands = await leaves();
  expect(commands.length).toBeGreaterThan(25);
  for (const command of commands) {
    if (command.includes('help') || command.join(' ') === 'version') continue;
    const { code, out, err } = await acrPromoter(...command, '--help');
    expect({ command, code, err }).toEqual({ command, code: 0, err: '' });
    expect(out).toMatch(/^Usage: acr-promoter /);
    expect({ command, examples: /\nExamples:\n {2}\S.*:\n {4}.*acr-promoter /.test(out) }).toEqual({
      command,
      examples: true,
    });
    for (const [, option, words = ''] of out.matchAll(/^ {2}(?:-\w, )?(--[\w-]+)(?: [<[]\S+)? {2,}(.*)$/gm)) {
      expect({ command, option, words: words.trim() === '' }).toEqual({ command, option, words: false });
    }
  }
});
