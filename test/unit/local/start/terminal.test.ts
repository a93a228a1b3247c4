import { expect, test } from '@jest/globals';
import { PassThrough } from 'node:stream';
import { formatBytes, printable, Terminal } from '../../../../local/start/terminal.js';

function terminal(isTTY: boolean, environment: Record<string, string> = {}): { shown: () => string; it: Terminal } {
  const out = Object.assign(new PassThrough(), { isTTY, columns: 30 });
  return {
    it: new Terminal(out as unknown as NodeJS.WriteStream, environment),
    shown: () => String(out.read() ?? ''),
  };
}

test('a pipe gets only whole lines', () => {
  const { it, shown } = terminal(false, { CI: 'true', FORCE_COLOR: '1' });
  it.status('working');
  it.say(it.colors.green('done'));
  it.status('');
  expect(shown()).toBe('done\n');
});

test('on a terminal a status is overwritten by the next output and cut to the width', () => {
  const { it, shown } = terminal(true);
  it.status('x'.repeat(100));
  it.say('one');
  it.status('two');
  it.status('');
  expect(shown()).toBe(`${'x'.repeat(29)}\r\u001b[Kone\ntwo\r\u001b[K`);
});

test('colours appear only on a terminal and without NO_COLOR', () => {
  expect(terminal(true).it.colors.red('x')).toBe('\u001b[31mx\u001b[39m');
  expect(terminal(true, { NO_COLOR: '1' }).it.colors.red('x')).toBe('x');
  expect(terminal(true, { TERM: 'dumb' }).it.colors.red('x')).toBe('x');
});

test('text from elsewhere cannot move the cursor', () => {
  expect(printable('a\u001b[2Jb\r\n\u0007c\u202ed — é')).toBe('a [2Jb c d — é');
});

test('sizes are formatted for people', () => {
  expect([0, 999, 1000, 314_676_638, 2e15].map(formatBytes)).toEqual([
    '0 B',
    '999 B',
    '1.0 kB',
    '314.7 MB',
    '2000.0 TB',
  ]);
});
