import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, test } from '@jest/globals';

const run = promisify(execFile);
const ENTRIES = process.env.FULL === '1' ? 1_000_000 : 100_000;
/** The longest time for which the event loop may be blocked. */
const LONGEST_TURN_MS = 200;

interface Cost {
  counts?: Record<string, number>;
  code?: string;
  details?: object;
  /** Threads that were started. */
  threads: number;
  /** CPU time of the main thread between two turns of its event loop: a busy machine does not matter. */
  longestMs: number;
}

async function read(entries: number, limits: Record<string, number>, fillerBytes = 0, times = 1): Promise<Cost> {
  const child = 'test/interop/sbom/read-image.child.ts';
  const { stdout, stderr } = await run(process.execPath, [
    '--no-warnings',
    child,
    `${entries}`,
    JSON.stringify(limits),
    `${fillerBytes}`,
    `${times}`,
  ]);
  expect(stderr).toBe('');
  return JSON.parse(stdout) as Cost;
}

describe.each([
  ['a layer with very many files', 0, 1],
  ['one that is large as well, and so unpacked in a thread of its own', 10 * 1024 ** 2, 2],
])('%s', (_, fillerBytes, threads) => {
  test('is read while the event loop of the app stays free', async () => {
    const { counts, longestMs, ...cost } = await read(ENTRIES, {}, fillerBytes);
    expect(counts).toEqual({ npm: 1 });
    expect(cost.threads).toBe(threads);
    expect(longestMs).toBeLessThan(LONGEST_TURN_MS);
  }, 300_000);

  test.each([1, 8 * 1024 ** 2])(
    'that needs more heap than %i bytes is refused, and the process lives on',
    async (heapBytes) => {
      const { code, details, longestMs, ...cost } = await read(ENTRIES, { heapBytes }, fillerBytes);
      expect({ code, details }).toMatchObject({ code: 'SBOM_LIMIT', details: { name: 'heapBytes' } });
      expect(cost.threads).toBe(threads);
      expect(longestMs).toBeLessThan(LONGEST_TURN_MS);
    },
    300_000,
  );

  test('that takes more time than its threads may work is refused', async () => {
    const { code, details } = await read(ENTRIES, { workMs: 1 }, fillerBytes);
    expect({ code, details }).toMatchObject({ code: 'SBOM_LIMIT', details: { name: 'workMs', limit: 1 } });
  }, 300_000);
});

test.each([
  ['small images that follow each other are read by one thread, which keeps no process running', 0, 1],
  ['each large image has threads of its own', 10 * 1024 ** 2, 6],
])(
  '%s',
  async (_, fillerBytes, threads) => {
    const cost = await read(1000, {}, fillerBytes, 3);
    expect([cost.counts, cost.threads]).toEqual([{ npm: 1 }, threads]);
  },
  120_000,
);

test('a thread that was started at once, and for which no image comes, keeps no process running', async () => {
  const program = `import { createStreamingSbomGenerator } from 'acr-promoter/sbom';
    createStreamingSbomGenerator({ startsAtOnce: true });`;
  const ended = await run(process.execPath, ['--input-type=module', '-e', program], { timeout: 60_000 });
  expect(ended).toEqual({ stdout: '', stderr: '' });
}, 120_000);
