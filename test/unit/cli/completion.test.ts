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

  test('--no-descriptions leaves the words and takes away what is said of them', async () => {
    for (const shell of ['zsh', 'fish']) {
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
