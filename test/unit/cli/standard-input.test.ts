import { describe, expect, test } from '@jest/globals';
import { PassThrough } from 'node:stream';
import { LineReader } from '../../../src/cli/standard-input.js';

const never = (): void => {
  throw new Error('interrupted');
};

describe('from a pipe', () => {
  test('line by line, however it comes', async () => {
    const input = new PassThrough();
    const lines = new LineReader(input, never);
    const first = lines.read(false, never);
    input.write('a na');
    input.write('me\r\nsec');
    expect(await first).toBe('a name');
    const second = lines.read(true, never);
    input.write('ret\n\nrest');
    expect(await second).toBe('secret');
    expect(await lines.read(false, never)).toBe('');
    input.end();
    expect(await lines.read(false, never)).toBe('rest');
    expect(await lines.read(false, never)).toBeUndefined();
    expect(input.listenerCount('data')).toBe(0);
  });

  test('a line without end is cut', async () => {
    const input = new PassThrough();
    const lines = new LineReader(input, never);
    const line = lines.read(false, never);
    input.write('x'.repeat(70_000));
    expect((await line)?.length).toBeGreaterThan(65_000);
  });

  test('what breaks is thrown', async () => {
    const input = new PassThrough();
    const line = new LineReader(input, never).read(false, never);
    input.destroy(new Error('broken'));
    await expect(line).rejects.toThrow('broken');
  });
});

describe('from a terminal', () => {
  function terminal() {
    const modes: boolean[] = [];
    const input = Object.assign(new PassThrough(), { isTTY: true, setRawMode: (raw: boolean) => void modes.push(raw) });
    const echoed: string[] = [];
    return { input, modes, echoed, lines: new LineReader(input, (text) => void echoed.push(text)) };
  }

  test('hidden, nothing is echoed but the end of the line; corrections count', async () => {
    const { input, modes, echoed, lines } = terminal();
    const line = lines.read(true, never);
    input.write('seX');
    input.write('\x7fcret\bt\r');
    expect(await line).toBe('secret');
    expect(modes).toEqual([true, false]);
    expect(echoed).toEqual(['\n']);
    const shown = lines.read(false, never);
    input.write('shown\n');
    expect(await shown).toBe('shown');
    expect(modes).toEqual([true, false]);
  });

  test.each(['\x04', ''])('it ends with %j', async (end) => {
    const { input, lines } = terminal();
    const line = lines.read(true, never);
    input.write(`abc${end}`);
    if (end === '') input.end();
    expect(await line).toBe('abc');
  });

  test('Ctrl-C interrupts, and leaves the terminal as it was', async () => {
    const { input, modes, lines } = terminal();
    let interrupted = 0;
    const line = lines.read(true, () => {
      interrupted += 1;
    });
    input.write('abc\x03');
    expect(await line).toBeUndefined();
    expect(interrupted).toBe(1);
    expect(modes).toEqual([true, false]);
  });
});
