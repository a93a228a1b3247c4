import { describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { run } from '../../../../src/cli/run.js';
import { VERSION } from '../../../../src/version.js';
import { createMemoryIo } from '../../../support/memory-io.js';

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

  test('the powershell script has the words and options of the others, and closes its strings and brackets', async () => {
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

  test('--no-descriptions leaves the words without descriptions', async () => {
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

  test('bash completes shells, topics of help, and values of options that have few', async () => {
    const { out } = await acrPromoter('completion', 'bash');
    // What bash makes of the line: an equals sign is a word of its own.
    const completed = async (...line: string[]): Promise<string[]> => {
      const script = `${out}\nCOMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _acr_promoter; echo "\${COMPREPLY[*]}"`;
      const { stdout } = await promisify(execFile)('bash', ['-c', script, 'bash', 'acr-promoter', ...line]);
      return stdout.trim().split(' ');
    };
    expect(await completed('completion', '')).toEqual(['bash', 'zsh', 'fish', 'powershell']);
    expect(await completed('help', 'man')).toEqual(['manifest']);
    expect(await completed('help', 'manifest', 'index', '')).toEqual(['create', 'pack', 'update']);
    expect(await completed('push', '--format', '')).toEqual(['text', 'json', 'go-template']);
    expect(await completed('push', 'r.io/a:v1', 'hi.txt', '--format', '=', 'j')).toEqual(['json']);
    expect(await completed('copy', '--format', '=')).toEqual(['text', 'json']);
    expect(await completed('runs', '--format', 't')).toEqual(['text', 'table']);
    expect(await completed('discover', '-o', '')).toEqual(['tree', 'json', 'table']);
    // A path: that is for the shell to complete.
    expect(await completed('pull', '-o', '')).toEqual(['']);
    for (const option of ['--distribution-spec', '--from-distribution-spec', '--to-distribution-spec']) {
      const verb = option === '--distribution-spec' ? 'attach' : 'cp';
      expect(await completed(verb, option, '')).toEqual(['v1.1-referrers-api', 'v1.1-referrers-tag']);
    }
    expect(await completed('push', '--image-spec', '')).toEqual(['v1.0', 'v1.1']);
    expect(await completed('push', '--format', 'json', '--templ')).toEqual(['--template']);
  });

  test('the other shells complete the same values', async () => {
    const zsh = (await acrPromoter('completion', 'zsh')).out;
    expect(zsh).toMatch(
      / attach --distribution-spec'\|[^)]*\) values=\('v1.1-referrers-api' 'v1.1-referrers-tag'\) ;;/,
    );
    const fish = (await acrPromoter('completion', 'fish')).out;
    expect(fish).toContain(" -l distribution-spec -x -a 'v1.1-referrers-api v1.1-referrers-tag'");
    expect(fish).toContain(`-n '__acr_promoter_at " help manifest"' -f -a index`);
    const powershell = (await acrPromoter('completion', 'powershell')).out;
    expect(powershell).toContain("' push --image-spec' = @('v1.0', 'v1.1')");
    expect(powershell).toContain("' completion' = @('bash=', 'zsh=', 'fish=', 'powershell=')");
  });

  test('an unknown shell is refused', async () => {
    const { code, out, err } = await acrPromoter('completion', 'csh');
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain('(OPTION_INVALID)');
  });
});

test('the version is the one of package.json', async () => {
  const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string };
  expect(VERSION).toBe(version);
  expect((await acrPromoter('version')).out).toMatch(
    new RegExp(
      `^Version: +${version.replaceAll('.', '\\.')}\\nNode version: v\\d+\\.\\d+\\.\\d+\\nOS/Arch: +\\w+/x64\\n$`,
    ),
  );
});
