import { afterAll, afterEach, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { CATALOGERS } from '../../src/sbom/catalogers/index.js';
import { READERS } from '../fuzz/readers.js';
import type { Answer, Task } from './sbom-readers.child.js';

// Anybody who pushes an image writes what our readers read. Each reader gets 20,000 inputs: valid ones with a few changes.

const TRIES = Number(process.env['TRIES'] ?? 20_000);
const LOADER = new URL('../support/typescript-loader.mjs', import.meta.url).href;
const CHILD = join(import.meta.dirname, 'sbom-readers.child.ts');
/** Megabytes of the thread's heap: what is kept of an input would add up to more. */
const HEAP_MB = 128;

let thread: Worker | undefined;
let isBusy = false;

/** A thread of its own, so that a reader that never ends fails its test and not the whole run. */
function startThread(): Worker {
  return new Worker(CHILD, {
    execArgv: ['--no-warnings', '--import', LOADER],
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
  });
}

async function work(task: Task): Promise<Answer> {
  thread ??= startThread();
  isBusy = true;
  thread.postMessage(task, []);
  const [answer] = (await once(thread, 'message')) as [Answer];
  isBusy = false;
  return answer;
}

async function endThread(): Promise<void> {
  await thread?.terminate();
  thread = undefined;
  isBusy = false;
}

afterEach(async () => {
  if (isBusy) await endThread();
});
afterAll(endThread);

test('every cataloger is among the readers', () => {
  const tried = new Set(READERS.flatMap(({ cataloger }) => cataloger ?? []));
  expect([...tried].sort()).toEqual(CATALOGERS.map(({ name }) => name).sort());
});

test.each(READERS.map(({ name }, index) => [name, index + 1] as const))(
  '%s: changed inputs are read or refused, in little memory, and what is listed is well-formed',
  async (reader, seed) => {
    const { failure, ...done } = await work({ reader, seed, tries: TRIES });
    if (failure !== undefined) throw new Error(`${failure.message}\nof ${failure.input}`);
    expect(done.tried).toBe(TRIES);
  },
  600_000,
);
