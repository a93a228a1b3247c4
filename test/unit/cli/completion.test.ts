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

  test('powershell: words and options as the others have them, in strings and brackets that end', async () => {
    const { code, out } = await acrPromoter('completion', 'powershell');
    expect(code).toBe(0);
    // Nobody runs PowerShell here: its strings are read as it reads them, curly quotes and all.
    const quotes = "'\u2018\u2019\u201a\u201b";
    const strings: string[] = [];
    const rest = out
      .replaceAll(/^#.*$/gm, '')
      .replaceAll(new RegExp(`[${quotes}]((?:[${quotes}]{2}|[^${quotes}])*)[${quotes}]`, 'g'), (_, text: string) => {
        strings.push(text);
        return 'S';
      });
    for (const word of [' copy', ' manifest index update', ' blob rm']) expect(strings).toContain(word);
    for (const start of ['--exclude-artifact-type=', 'cp=Copy an artifact', '--merge=']) {
      expect(strings.filter((text) => text.startsWith(start))).not.toEqual([]);
    }
    expect(rest).not.toMatch(new RegExp(`[${quotes}]`));
    const open: string[] = [];
    for (const bracket of rest.replaceAll(/"[^"]*"/g, '').match(/[(){}[\]]/g) ?? []) {
      if ('([{'.includes(bracket)) open.push({ '(': ')', '[': ']', '{': '}' }[bracket] ?? '');
      else expect(open.pop()).toBe(bracket);
    }
    expect(open).toEqual([]);
    const listed = (path: string): string[] =>
      [...out.matchAll(/^ {4}'([^']*)' = @\((.*)\)$/gm)].flatMap(([, at, entries = '']) =>
        at === path ? [...entries.matchAll(/'([\w-]+)=/g)].map(([, word = '']) => word) : [],
      );
    const bash = await acrPromoter('completion', 'bash');
    const inBash = /'( manifest fetch)'\) words=''; flags='([^']*)'/.exec(bash.out)?.[2]?.split(' ');
    expect(listed(' manifest fetch')).toEqual(inBash);
  });

  test('--no-descriptions leaves the words and takes away what is said of them', async () => {
    for (const shell of ['zsh', 'fish', 'powershell']) {
      const { out } = await acrPromoter('completion', shell);
      const { code, out: bare } = await acrPromoter('completion', shell, '--no-descriptions');
      expect(code).toBe(0);
      expect(out).toContain('Copy an artifact');
      expect(bare).not.toContain('Copy an artifact');
      for (const word of ['copy', 'exclude-artifact-type']) expect(bare).toContain(word);
    }
    const { out } = await acrPromoter('completion', 'bash');
    expect((await acrPromoter('completion', 'bash', '--no-descriptions')).out).toBe(out);
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
