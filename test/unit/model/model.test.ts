import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { histories, type History } from './history.js';
import { play } from './model.js';

const FULL = process.env.FULL === '1';
const RUNS = Number(process.env.RUNS ?? (FULL ? 1000 : 20));
const SEED = Number(process.env.SEED ?? Date.now() % 2 ** 31);

test('after any history and a quiet time, everything is as the rules say', async () => {
  let played = 0;
  let steps = 0;
  let failed = 0;
  const ends = new Map<string, number>();
  const started = process.cpuUsage();
  // First of all: a run that is broken off has said it too.
  process.stdout.write(`model: seed ${SEED}, ${RUNS} histories\n`);
  const check = async (history: History): Promise<void> => {
    const { problems, trace, steps: count, ends: some } = await play(history);
    played += 1;
    steps += count;
    for (const [end, times] of some) ends.set(end, (ends.get(end) ?? 0) + times);
    if (problems.length > 0 && failed === 0)
      process.stdout.write(`model: seed ${SEED}, history ${played}: ${problems[0]}\n`);
    failed += Math.min(problems.length, 1);
    if (problems.length > 0) throw new Error(`${problems.join('\n')}\n\n${trace.join('\n')}`);
  };
  try {
    await fc.assert(fc.asyncProperty(histories, check), {
      seed: SEED,
      numRuns: RUNS,
      ...(process.env.AT !== undefined && { path: process.env.AT }),
      endOnFailure: process.env.SHRINK === '0',
      interruptAfterTimeLimit: 1_700_000,
    });
  } finally {
    const { user, system } = process.cpuUsage(started);
    const tookMs = (user + system) / 1000;
    process.stdout.write(
      `model: seed ${SEED}, ${played} histories, ${steps} steps, ${(tookMs / played).toFixed(1)} ms of CPU each\n`,
    );
    const counted = [...ends].sort(([, a], [, b]) => b - a).map(([end, times]) => `${times} ${end}`);
    process.stdout.write(`runs: ${counted.join(', ')}\n`);
  }
  expect(played).toBeGreaterThanOrEqual(RUNS);
}, 1_800_000);
