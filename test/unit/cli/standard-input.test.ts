import { describe, expect, test } from '@jest/globals';
import { addAbortSignal, PassThrough } from 'node:stream';
import { LineReader } from '../../../src/cli/standard-input.js';

const never = (): void => {
  throw new Error('interrupted');
};

describe('from a pipe', () => {
  test('lines are read one by one, however they are split into chunks', async () => {
    const input = new PassThrough();
    const lines = new LineReader(input, never, never);
    const first = lines.read(false);
    input.write('a na');
    input.write('me\r\nsec');
    expect(await first).toBe('a name');
    const second = lines.read(true);
    input.write('ret\n\nrest');
    expect(await second).toBe('secret');
    expect(await lines.read(false)).toBe('');
    input.end();
    expect(await lines.read(false)).toBe('rest');
    expect(await lines.read(false)).toBeUndefined();
    expect(input.listenerCount('data')).toBe(0);
  });

  test('an endless line is cut', async () => {
    const input = new PassThrough();
    const lines = new LineReader(input, never, never);
    const line = lines.read(false);
    input.write('x'.repeat(70_000));
    expect((await line)?.length).toBeGreaterThan(65_000);
  });

  test('an error of the input is thrown', async () => {
    const input = new PassThrough();
    const line = new LineReader(input, never, never).read(false);
    input.destroy(new Error('broken'));
    await expect(line).rejects.toThrow('broken');
  });
});

describe('from a terminal', () => {
  function terminal() {
    const modes: boolean[] = [];
    const input = Object.assign(new PassThrough(), { isTTY: true, setRawMode: (raw: boolean) => void modes.push(raw) });
    const echoed: string[] = [];
    const interrupts: number[] = [];
    const lines = new LineReader(
      input,
      (text) => void echoed.push(text),
      () => void interrupts.push(1),
    );
    return { input, modes, echoed, interrupts, lines };
  }

  test('a hidden line echoes only its end, and corrections work', async () => {
    const { input, modes, echoed, lines } = terminal();
    const line = lines.read(true);
    input.write('seX');
    input.write('\x7fcret\bt\r');
    expect(await line).toBe('secret');
    expect(modes).toEqual([true, false]);
    expect(echoed).toEqual(['\n']);
    const shown = lines.read(false);
    input.write('shown\n');
    expect(await shown).toBe('shown');
    expect(modes).toEqual([true, false]);
  });

  test.each(['\x04', ''])('it ends with %j', async (end) => {
    const { input, lines } = terminal();
    const line = lines.read(true);
    input.write(`abc${end}`);
    if (end === '') input.end();
    expect(await line).toBe('abc');
  });

  test('Ctrl-C interrupts, and restores the terminal', async () => {
    const { input, modes, interrupts, lines } = terminal();
    const line = lines.read(true);
    input.write('abc\x03');
    await expect(line).rejects.toThrow('interrupted');
    expect(interrupts).toEqual([1]);
    expect(modes).toEqual([true, false]);
  });

  test('a signal interrupts as well, while nothing is typed', async () => {
    const { input, modes, lines } = terminal();
    const stopping = new AbortController();
    input.on('error', () => undefined);
    addAbortSignal(stopping.signal, input);
    const line = lines.read(true);
    stopping.abort();
    await expect(line).rejects.toMatchObject({ name: 'AbortError' });
    expect(modes).toEqual([true, false]);
  });
});
