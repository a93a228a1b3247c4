import { describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { run } from '../../../../src/cli/run.js';
import { VERSION } from '../../../../src/version.js';
import { createMemoryIo } from '../../../support/memory-io.js';

const LOADER = new URL('../../../support/typescript-loader.mjs', import.meta.url).href;

async function acrPromoter(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const { io, out, err } = createMemoryIo();
  const code = await run(argv, io);
  return { code, out: out().toString(), err: err() };
}

/** The candidates for the last word. */
async function completed(...line: string[]): Promise<string[]> {
  const typed = `.${line.at(-1) ?? ''}`;
  const { out } = await acrPromoter('__complete', '--no-descriptions', '--', ...line.slice(0, -1), typed);
  return out.split('\n').slice(0, -1);
}

describe('completion', () => {
  test('commands, aliases and options are completed', async () => {
    expect(await completed('c')).toEqual(['copy', 'cp', 'certificate', 'completion']);
    expect(await completed('manifest', 'index', '')).toEqual(['create', 'pack', 'update']);
    expect(await completed('repository', '')).toEqual(['ls', 'list', 'tags', 'show-tags']);
    expect(await completed('cp', '--exclude')).toEqual(['--exclude-artifact-type']);
    expect(await completed('manifest', 'index', 'update', '--mer')).toEqual(['--merge']);
    expect(await completed('push', '--format', 'json', '--templ')).toEqual(['--template']);
    expect(await completed('nonsense', 'x')).toEqual([]);
    expect(await completed('')).not.toContain('__complete');
  });

  test('shells, topics of help, and values of options that have few are completed', async () => {
    expect(await completed('completion', '')).toEqual(['bash', 'zsh', 'fish', 'powershell']);
    expect(await completed('help', 'man')).toEqual(['manifest']);
    expect(await completed('help', 'manifest', 'index', '')).toEqual(['create', 'pack', 'update']);
    expect(await completed('push', '--format', '')).toEqual(['text', 'json', 'go-template']);
    expect(await completed('push', '--format=j')).toEqual(['--format=json']);
    expect(await completed('runs', '--format', 't')).toEqual(['text', 'table']);
    expect(await completed('discover', '-o', '')).toEqual(['tree', 'json', 'table']);
    expect(await completed('push', '--image-spec', '')).toEqual(['v1.0', 'v1.1']);
    for (const option of ['--distribution-spec', '--from-distribution-spec', '--to-distribution-spec']) {
      const verb = option === '--distribution-spec' ? 'attach' : 'cp';
      expect(await completed(verb, option, '')).toEqual(['v1.1-referrers-api', 'v1.1-referrers-tag']);
    }
  });

  test('a path is left to the shell', async () => {
    expect(await completed('pull', '-o', '')).toEqual([]);
    expect(await completed('push', 'r.io/a:v1', 'a')).toEqual([]);
    expect(await completed('promotions', '--rule', '')).toEqual([]);
  });

  test('a description follows its word after a tab', async () => {
    const { out } = await acrPromoter('__complete', '--', '.cop');
    expect(out).toBe('copy\tCopy an artifact, with its referrers, and verify that it has arrived\n');
  });

  test.each(['bash', 'zsh', 'fish', 'powershell'])('%s gets a script that asks for candidates', async (shell) => {
    const { code, out, err } = await acrPromoter('completion', shell);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toContain(shell === 'bash' ? ' __complete --no-descriptions -- ' : ' __complete -- ');
    const { out: bare } = await acrPromoter('completion', shell, '--no-descriptions');
    expect(bare).toContain(' __complete --no-descriptions -- ');
  });

  test('bash completes the last word, also behind an equals sign', async () => {
    const { out } = await acrPromoter('completion', 'bash');
    const own = `acr-promoter() { ${process.execPath} --no-warnings --import ${LOADER} src/cli/main.ts "$@"; }`;
    const inBash = async (...line: string[]): Promise<string[]> => {
      const words = `COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))`;
      const script = `${out}\n${own}\n${words}; _acr_promoter acr-promoter; printf '%s\\n' "\${COMPREPLY[@]}"`;
      const { stdout } = await promisify(execFile)('bash', ['-c', script, 'bash', 'acr-promoter', ...line]);
      return stdout.trim().split('\n');
    };
    expect(await inBash('help', 'manifest', 'index', '')).toEqual(['create', 'pack', 'update']);
    // What bash makes of the line: an equals sign is a word of its own.
    expect(await inBash('push', 'r.io/a:v1', 'hi.txt', '--format', '=', 'j')).toEqual(['json']);
    expect(await inBash('copy', '--format', '=')).toEqual(['text', 'json']);
    expect(await inBash('pull', '-o', '')).toEqual(['']);
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
