import { expect, test } from '@jest/globals';
import { doStep } from '../../../../src/cli/desk/desk.js';
import type { Io } from '../../../../src/cli/io.js';
import { digestOf } from '../../../../src/oci/index.js';

const io = { out: () => undefined, err: () => undefined, signal: new AbortController().signal } as unknown as Io;
const DIGEST = digestOf(Buffer.from('x'));

test('a step of which one part fails tells of the parts that were done, the later ones too', async () => {
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
