import { expect, test } from '@jest/globals';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { flagsIn, formatCompatibility, type Flag } from './oras/compatibility.js';
import { runOurs, runProgram } from './oras/side-by-side.js';
import { describeWithPeers } from '../support/peers.js';

const PAGE = join('docs', 'reference', 'oras-compatibility.md');

/** Undefined where there is no such verb: then the help of what is above it is shown, or none. */
async function ourFlags(verb: string): Promise<Flag[] | undefined> {
  const words = verb.split(' ');
  const { code, out } = await runOurs([...words, '--help']);
  const usage = /^Usage: acr-promoter ([a-z|-]+(?: [a-z|-]+)*)(?= \[)/m.exec(out)?.[1] ?? '';
  const named = usage.split(' ').map((word) => word.split('|'));
  const isCompletion = words[0] === 'completion' && out.includes(`acr-promoter ${verb}`);
  const isIt = named.length === words.length && words.every((word, at) => (named[at] ?? []).includes(word));
  return code === 0 && (isIt || isCompletion) ? flagsIn(out) : undefined;
}

describeWithPeers('docs/reference/oras-compatibility.md beside the help of oras', ['oras'], ([oras = '']) => {
  /** Every verb that does something, with its flags. */
  async function theirVerbs(words: readonly string[] = []): Promise<{ verb: string; theirs: Flag[] }[]> {
    const { out } = await runProgram(oras, [...words, '--help']);
    const listed = /^Available Commands:\n([\s\S]*?)\n\n/m.exec(out)?.[1]?.split('\n') ?? [];
    const commands = listed.map((line) => line.trim().split(/\s+/)[0] ?? '').filter((name) => name !== 'help');
    if (commands.length === 0) return [{ verb: words.join(' '), theirs: flagsIn(out) }];
    return (await Promise.all(commands.map((name) => theirVerbs([...words, name])))).flat();
  }

  test('the page lists every verb and flag that differs from oras', async () => {
    const verbs = await theirVerbs();
    expect(verbs.length).toBeGreaterThan(25);
    const both = await Promise.all(verbs.map(async (each) => ({ ...each, ours: await ourFlags(each.verb) })));
    const page = formatCompatibility(both);
    if (process.env['WRITE_DOCS'] !== undefined) await writeFile(PAGE, page);
    expect(await readFile(PAGE, 'utf8')).toBe(page);
  });
});
