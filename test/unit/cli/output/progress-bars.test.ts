import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf, type Descriptor } from 'acr-promoter/oci';
import { ProgressBars } from '../../../../src/cli/output/progress-bars.js';
import { run } from '../../../../src/cli/run.js';
import { text } from '../../../support/graphs.js';
import { DrawnTerminal } from '../../../support/drawn-terminal.js';
import { createMemoryIo } from '../../../support/memory-io.js';

function node(title: string, size: number): Descriptor {
  return {
    mediaType: 'x/y',
    digest: digestOf(text(title)),
    size,
    annotations: { 'org.opencontainers.image.title': title },
  };
}

describe('bars', () => {
  let terminal: DrawnTerminal;
  let bars: ProgressBars;
  let nowMs = 0;
  beforeEach(() => {
    jest.useFakeTimers();
    nowMs = 0;
  });
  afterEach(() => {
    bars.close();
    jest.useRealTimers();
  });
  const open = (size?: { columns: number; rows: number }): void => {
    terminal = new DrawnTerminal(size);
    bars = new ProgressBars(terminal, { colors: false, now: () => nowMs });
  };
  const pass = (ms: number): void => {
    nowMs += ms;
    jest.advanceTimersByTime(ms);
  };

  test('transfers are redrawn in place, and finished ones stay above them', () => {
    open();
    const [large, small] = [node('large.bin', 10_000_000), node('small.txt', 5)];
    bars.start('Uploading', large);
    bars.start('Uploading', small);
    bars.move(large, 2_500_000);
    pass(200);
    expect(terminal.seen()).toEqual([
      expect.stringMatching(/^. \[={5}\.{15}\]\( 12\.5 MB\/s\) Uploading large\.bin +2\.5 MB\/10\.0 MB 25% +0\.2s$/),
      expect.stringMatching(/^. \[\.{20}\]\( +0 B\/s\) Uploading small\.txt +0 B\/5 B 0% +0\.2s$/),
    ]);
    bars.end('Uploaded', small);
    pass(200);
    expect(terminal.seen()).toEqual([
      expect.stringMatching(/^✓ Uploaded small\.txt +5 B\/5 B 100% +0\.2s$/),
      `  └─ ${small.digest}`,
      expect.stringMatching(/^. \[={5}\.{15}\]/),
    ]);
    bars.say('Left out a-pipe');
    bars.end('Uploaded', large);
    bars.close();
    expect(terminal.seen().map((line) => line.replace(/ {2,}.*/, ''))).toEqual([
      '✓ Uploaded small.txt',
      '',
      'Left out a-pipe',
      '✓ Uploaded large.bin',
      '',
    ]);
  });

  test('a transfer that starts after a pause is drawn at once', () => {
    open();
    pass(1000);
    expect(terminal.writes).toBe(0);
    pass(150);
    bars.start('Uploading', node('late.txt', 5));
    expect(terminal.seen()).toEqual([expect.stringContaining('Uploading late.txt')]);
    bars.start('Uploading', node('later.txt', 5));
    expect(terminal.writes).toBe(1);
  });

  test('there are at most five redraws a second', () => {
    open();
    const all = Array.from({ length: 100 }, (_, index) => node(`file-${index}`, 1000));
    for (let ms = 0; ms < 2000; ms += 10) {
      for (const each of all) {
        bars.start('Copying', each);
        bars.move(each, 5);
      }
      pass(10);
    }
    expect(terminal.writes).toBeLessThanOrEqual(11);
    // And no more lines than there is room for.
    expect(terminal.seen().at(-1)).toBe('  and 78 more');
    expect(terminal.mostLinesUp).toBe(23);
  });

  test.each([
    [60, 'a-very-long-name-of-a-file-that-does-not-fit-'.repeat(4)],
    [40, 'short'],
    [80, '漢字の長い名前'.repeat(10)],
    [10, 'narrower than anything'],
  ])('in %d columns no line is too long: %s', (columns, title) => {
    open({ columns: Math.max(columns, 40), rows: 10 });
    const one = node(title, 123_456_789);
    bars.start('Downloading', one);
    bars.move(one, 12_345_678);
    pass(200);
    bars.end('Downloaded', one);
    pass(200);
    expect(terminal.seen()).toHaveLength(2);
  });

  test('control characters are not written, and unfinished transfers are marked', () => {
    open();
    const evil = node('a\u001b[2Jb\rc', 5);
    bars.start('Uploading', evil);
    pass(200);
    bars.close();
    expect(terminal.seen()).toEqual([expect.stringMatching(/^✗ Uploading a\?\[2Jb\?c *$/)]);
    expect(jest.getTimerCount()).toBe(0);
  });
});

describe('commands', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'bars-'));
    await writeFile(join(folder, 'hi.txt'), 'hello');
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  async function on(terminal: DrawnTerminal | undefined, line: string) {
    const { io, out, err } = createMemoryIo({ ...(terminal && { terminal }), env: { NO_COLOR: '1' } });
    const code = await run(line.replaceAll('{}', folder).split(' '), io);
    return { code, out: out().toString(), err: err() };
  }

  test('on a terminal, standard output has only the result', async () => {
    const terminal = new DrawnTerminal();
    const push = 'push --disable-path-validation --oci-layout {}/layout:v1 {}/hi.txt';
    const { code, out, err } = await on(terminal, push);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/^Pushed \[oci-layout\] .*\nArtifactType: .*\nDigest: .*\n$/);
    expect(terminal.seen().filter((line) => line.startsWith('✓ Uploaded'))).toHaveLength(3);
    const again = await on(terminal, `${push} --format json`);
    expect(JSON.parse(again.out)).toMatchObject({ mediaType: 'application/vnd.oci.image.manifest.v1+json' });
    expect(terminal.seen().at(-2)).toMatch(/^✓ Exists/);
  });

  test('--no-tty and --debug print the lines of a pipe', async () => {
    const push = 'push --disable-path-validation --oci-layout {}/layout:v1 {}/hi.txt';
    await on(undefined, push);
    const without = await on(undefined, push);
    for (const more of [' --no-tty', ' --debug', ' --no-tty=true']) {
      const terminal = new DrawnTerminal();
      expect(await on(terminal, push + more)).toEqual(without);
      expect(terminal.writes).toBe(0);
    }
    expect(without.out).toMatch(/^Preparing /);
  });

  test('content on standard output has no bars, unless --no-tty=false asks for them', async () => {
    const digest = digestOf(text('hello'));
    await on(undefined, 'blob push --oci-layout {}/layout {}/hi.txt');
    const fetch = `blob fetch --oci-layout {}/layout@${digest}`;
    const terminal = new DrawnTerminal();
    expect(await on(terminal, `${fetch} -o -`)).toEqual({ code: 0, out: 'hello', err: '' });
    expect(terminal.writes).toBe(0);
    expect(await on(terminal, `${fetch} -o - --no-tty=false`)).toMatchObject({ code: 0, out: 'hello' });
    expect(terminal.seen()[0]).toMatch(/^✓ Downloaded application\/octet-stream/);
    const drawn = terminal.writes;
    expect(await on(terminal, `${fetch} -o {}/fetched`)).toEqual({ code: 0, out: '', err: '' });
    expect(terminal.writes).toBeGreaterThan(drawn);
    expect(await readFile(join(folder, 'fetched'), 'utf8')).toBe('hello');
  });

  test('an error is printed after the bars', async () => {
    const terminal = new DrawnTerminal();
    const { code, err } = await on(terminal, 'pull --oci-layout {}/absent:v1 -o {}/out');
    expect({ code, writes: terminal.writes }).toEqual({ code: 1, writes: 0 });
    expect(err).toContain('(LAYOUT_NOT_FOUND)');
  });
});
