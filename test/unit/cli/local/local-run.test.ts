import { afterEach, expect, jest, test } from '@jest/globals';
import { doStep } from '../../../../src/cli/local/local-run.js';
import type { Io } from '../../../../src/cli/io.js';
import { digestOf } from '../../../../src/oci/index.js';

const io = { out: () => undefined, err: () => undefined, signal: new AbortController().signal } as unknown as Io;
const DIGEST = digestOf(Buffer.from('x'));

afterEach(() => void jest.restoreAllMocks());

test('if one part of a step fails, the finished parts are reported, later ones too', async () => {
  const lines: string[] = [];
  const parts = { values: {}, word: 'Reading', tell: (_step: string, label: string) => void lines.push(label) };
  const done = doStep(
    io,
    async ({ progress }) => {
      const part = (label: string, work: () => Promise<void>): Promise<void> =>
        progress.part('attachSbom', { label, digest: DIGEST }, work);
      const ended = await Promise.allSettled([
        part('one', async () => undefined),
        part('two', () => Promise.reject(new Error('broken'))),
        part('three', async () => undefined),
      ]);
      for (const end of ended) if (end.status === 'rejected') throw end.reason;
      return { done: null };
    },
    { parts },
  );
  await expect(done).rejects.toThrow('broken');
  expect(lines).toEqual(['one', 'three']);
});

/** Each call of the step takes a minute. */
function minutely(replies: readonly ({ done: null } | { retryAfterMs: number })[]): Promise<null> {
  let [calls, nowMs] = [0, 0];
  jest.spyOn(performance, 'now').mockImplementation(() => nowMs);
  return doStep(io, async () => {
    nowMs += 60_000;
    calls += 1;
    return replies[calls - 1] ?? { done: null };
  });
}

test('a step that makes progress may take longer than ten minutes', async () => {
  await expect(minutely(Array.from({ length: 40 }, () => ({ retryAfterMs: 0 })))).resolves.toBeNull();
});

test('a step whose lease another process holds for ten minutes fails', async () => {
  await expect(minutely(Array.from({ length: 12 }, () => ({ retryAfterMs: 1 })))).rejects.toMatchObject({
    code: 'LEASE_HELD',
  });
});
