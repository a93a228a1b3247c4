import { expect, test } from '@jest/globals';
import { createProgram, run } from '../../../src/cli/run.js';
import { createMemoryIo } from '../../support/memory-io.js';

async function acrPromoter(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const { io, out, err } = createMemoryIo();
  const code = await run(argv, io);
  return { code, out: out().toString(), err: err() };
}

/** Every command that does something, as it is typed. */
function leaves(command = createProgram(createMemoryIo().io), path: string[] = []): string[][] {
  if (command.commands.length === 0) return [path];
  return command.commands.flatMap((child) => leaves(child, [...path, child.name()]));
}

test('every command has help with an example, and a description of each option', async () => {
  const commands = leaves();
  expect(commands.length).toBeGreaterThan(25);
  for (const command of commands) {
    if (['help', '__complete'].includes(command[0] ?? '')) continue;
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

test('a command is the same whether the others are defined or not', () => {
  const { io } = createMemoryIo();
  const all = createProgram(io).commands;
  for (const command of all) {
    const alone = createProgram(io, command.name()).commands;
    const same = alone.find((each) => each.name() === command.name());
    expect(same?.helpInformation()).toBe(command.helpInformation());
  }
  expect(createProgram(io, 'sbom').commands.length).toBeLessThan(all.length / 4);
  expect(createProgram(io, 'sbon').commands).toHaveLength(all.length);
});

test.each(['manifest', 'manifest index', 'blob', 'repo', 'jobs'])('%s has examples of its own', async (group) => {
  const { out } = await acrPromoter(...group.split(' '), '--help');
  expect(out.slice(out.indexOf('\nExamples:\n'))).toMatch(/^\nExamples:\n {2}\S.*:\n {4}acr-promoter /);
  expect(out.slice(out.indexOf('\nExamples:\n'))).toContain(`acr-promoter ${group} `);
});

test('lists of commands show the operands', async () => {
  const list = (await acrPromoter('--help')).out;
  expect(list).toMatch(/^ {2}copy\|cp <from> <to> {2,}\S/m);
  expect(list).toMatch(/^ {2}push <name> <file> \[\.\.\.\] {2,}\S/m);
  expect(list).toMatch(/^ {2}attach <name> <file> \[\.\.\.\] {2,}\S/m);
  expect(list).toMatch(/^ {2}version {2,}\S/m);
  expect(list).not.toContain('operands');
  expect((await acrPromoter('manifest', '--help')).out).toMatch(/^ {2}fetch\|get <name> {2,}\S/m);
  expect((await acrPromoter('runs', '--help')).out).toMatch(/^ {2}cancel <id> {2,}\S/m);
});

test('the general help lists the exit codes', async () => {
  expect((await acrPromoter('--help')).out).toMatch(/\nExit codes:\n {2}0 .*\n {2}1 .*\n {2}2 .*\n {2}3 .*\n {2}130 /);
});

test.each([
  ['manifest', 'Usage: acr-promoter manifest [options]'],
  ['manifest fetch', 'Usage: acr-promoter manifest fetch|get '],
  ['manifest index create', 'Usage: acr-promoter manifest index create|pack '],
  ['runs cancel', 'Usage: acr-promoter runs cancel '],
  ['cp', 'Usage: acr-promoter copy|cp '],
])('help %s', async (words, usage) => {
  const { code, out } = await acrPromoter('help', ...words.split(' '));
  expect(code).toBe(0);
  expect(out.startsWith(usage)).toBe(true);
  expect(out).toBe((await acrPromoter(...words.split(' '), '--help')).out);
});
