import { readFileSync, readdirSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import type { Command } from 'commander';
import { readLine } from '../../../src/cli/boolean-flags.js';
import { createProgram } from '../../../src/cli/run.js';
import { createMemoryIo } from '../../support/memory-io.js';

// Commands that help and remedies print are commands that the command line takes.

/** The words of a line as a shell has them. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, bare]) => double ?? single ?? bare ?? '',
  );
}

/** Reads a line, and does nothing. @throws CommanderError */
function read(words: string[]): void {
  const program = createProgram(createMemoryIo().io);
  const still = (command: Command): void => {
    if (command.commands.length === 0) command.action(() => {});
    for (const each of command.commands) still(each);
  };
  still(program);
  const { argv, command } = readLine(words, program);
  expect(command).not.toBe(program);
  command.action(() => {});
  program.parse(argv, { from: 'user' });
}

function commandsBelow(command: Command, path: string[] = []): string[][] {
  return command.commands.flatMap((each) => {
    const own = [...path, each.name()];
    return each.name() === 'help' ? [] : [own, ...commandsBelow(each, own)];
  });
}

describe('each example in the help is a command', () => {
  const examples = commandsBelow(createProgram(createMemoryIo().io)).flatMap((path) => {
    const { io, out } = createMemoryIo();
    const program = createProgram(io);
    readLine(path, program).command.outputHelp();
    return out()
      .toString()
      .split('\n')
      .map((line) => /^ {4}(?:.*\| )?(?:[A-Z_]+=\S+ )?acr-promoter (.+?)(?: \|.*)?$/.exec(line)?.[1])
      .filter((line) => line !== undefined);
  });
  test('there are many', () => expect(examples.length).toBeGreaterThan(60));
  test.each(examples)('acr-promoter %s', (line) => read(wordsOf(line)));
});

describe('each command in a remedy is a command', () => {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((file) =>
    /^(?!cli.verbs).*\.ts$/.test(file),
  );
  const remedies = files.flatMap((file) =>
    readFileSync(`src/${file}`, 'utf8')
      .split('\n')
      .filter((line) => !/^\s*(?:\/\/|\*|\/\*)/.test(line))
      .flatMap((line) => [...line.matchAll(/acr-promoter ((?:[a-z-]+)(?: (?:\$\{[^}]*\}|<[a-z]+>|-[\w-]+|[a-z]+))*)/g)])
      .map(([, words = '']) =>
        words.replaceAll(/\$\{(?:flag|option)\}/g, '').replaceAll(/\$\{[^}]*\}|<[a-z]+>/g, 'r.io/a:v1'),
      ),
  );
  test('there are some', () => expect(remedies.length).toBeGreaterThan(8));
  test.each([...new Set(remedies)].filter((line) => !/--help$|^processes/.test(line)))('acr-promoter %s', (line) => {
    const { command } = readLine(wordsOf(line), createProgram(createMemoryIo().io));
    expect(command.parseOptions(wordsOf(line)).unknown).toEqual([]);
    expect(command.parent).not.toBeNull();
  });
});
