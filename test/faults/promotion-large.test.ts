import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ending, startEverything, type Everything } from '../support/stack/everything.js';
import { writeHeavyImage } from './promotion/images.js';
import { expectPromotedOnce, push, settled } from './promotion/promoted.js';

// However large an image is: the host's memory stays where it is, and one sees that it goes on.

const FULL = process.env['FULL'] !== undefined;
/** 300 MB in all, in CI 75. */
const LAYERS = FULL ? 4 : 1;
const LAYER_BYTES = 75_000_000;
const MOST_HOST_BYTES = 400_000_000;

let up: Everything;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'acr-promoter-large-'));
  up = await startEverything();
}, 120_000);
afterAll(async () => {
  await up?.stop();
  await rm(folder, { recursive: true, force: true });
}, 60_000);

function residentBytes(pid: number): number {
  return Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) * 1024;
}

test('a large image', async () => {
  const digest = await writeHeavyImage(join(folder, 'large'), 'large', { layerBytes: LAYER_BYTES, layers: LAYERS });
  const host = await up.processId('host');
  let most = 0;
  let runId = '';
  const watching = setInterval(() => {
    most = Math.max(most, residentBytes(host));
  }, 100);
  try {
    await push(up, join(folder, 'large'), 'samples/large');
    const { last } = await settled(up, 'samples/large');
    expect(ending(last)).toMatchObject({ outcome: 'promoted', digest });
    runId = last?.runId ?? '';
  } finally {
    clearInterval(watching);
  }
  process.stderr.write(`host: at most ${Math.round(most / 1e6)} MB resident\n`);
  expect(await up.processId('host')).toBe(host);
  expect(most).toBeGreaterThan(0);
  expect(most).toBeLessThan(MOST_HOST_BYTES);
  // How far a step is, is in its row; whether a line of it was printed depends on how fast the machine is.
  const answer = await fetch(`${up.hostUrl}/api/runs/${runId}`);
  const { steps } = (await answer.json()) as { steps: { step: string; doneBytes?: number; totalBytes?: number }[] };
  for (const name of ['attachSbom image', 'copy']) {
    const moved = steps.find(({ step }) => step === name);
    expect(moved?.totalBytes).toBeGreaterThanOrEqual(LAYERS * LAYER_BYTES);
    expect(moved?.doneBytes).toBe(moved?.totalBytes);
  }
  await expectPromotedOnce(up, 'samples/large', digest);
}, 300_000);
