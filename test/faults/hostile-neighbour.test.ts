import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { userRegistries } from '../../local/start/push.js';
import type { RegistryClient } from '../../src/oci/index.js';
import type { LoopDelay } from '../support/loop-delay.child.js';
import { ending, startEverything, until, type Everything } from '../support/stack/everything.js';
import { pushHostileImage } from './promotion/hostile-image.js';
import { pushSubject, stepsOf } from './promotion/large.js';
import { settled } from './promotion/promoted.js';

// The SBOM of an image whose layers are expensive to read must not block the app's event loop or delay other images.

const FULL = process.env['FULL'] !== undefined;
const HOSTILE = FULL ? { entries: 1_000_000, zeros: 700 } : { entries: 400_000, zeros: 200 };
/** Small images that are pushed one after the other while the hostile one is read. */
const MOST_NEIGHBOURS = 3;
/** Processor time of the main thread between two turns of its event loop. A busy machine does not change it. */
const LONGEST_TURN_MS = 200;
/** The targets for a quiet machine. On a busy one they are multiplied by the number of runnable threads per processor. */
const TARGETS = { p99Ms: 50, maxMs: 200, neighbourMs: 5_000 };

let folder: string;
let up: Everything;
let registries: RegistryClient;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'acr-promoter-neighbour-'));
  const preload = new URL('../support/loop-delay.child.ts', import.meta.url);
  preload.searchParams.set('folder', folder);
  up = await startEverything({ settings: { NODE_OPTIONS: `--import=${preload.href}` } });
  registries = userRegistries(up);
}, 120_000);
afterAll(async () => {
  await registries?.close();
  await up?.stop();
  await rm(folder, { recursive: true, force: true });
}, 60_000);

/** Starts to measure the host's event loop. @returns a function that stops and returns the result */
async function measureDelay(): Promise<() => Promise<LoopDelay>> {
  const host = await up.processId('host');
  const report = join(folder, `${host}.json`);
  await rm(report, { force: true });
  process.kill(host, 'SIGUSR2');
  return async () => {
    expect(await up.processId('host')).toBe(host);
    process.kill(host, 'SIGUSR2');
    return until('the delays of the event loop', async () => {
      const text = await readFile(report, 'utf8').catch(() => undefined);
      return text === undefined ? undefined : (JSON.parse(text) as LoopDelay);
    });
  };
}

function delayText({ p99Ms, maxMs, longestTurnMs }: LoopDelay): string {
  const [p99, most, turn] = [p99Ms, maxMs, longestTurnMs].map((ms) => ms.toFixed(1));
  return `delays with p99 ${p99} and at most ${most} ms, turns of at most ${turn} ms of the processor`;
}

/** @returns the milliseconds from the push of a small image to the end of its promotion */
async function promoteSmall(name: string): Promise<number> {
  const pushedMs = Date.now();
  await pushSubject(registries.repository(up.source, name), 0);
  const { last } = await up.ended(name, 'v1', pushedMs - 1_000);
  expect(ending(last)).toMatchObject({ outcome: 'promoted' });
  return Date.now() - pushedMs;
}

/** Whether the SBOM of the hostile image is being made. @throws if its promotion has ended */
async function isRead(): Promise<boolean> {
  const { runId, last } = (await up.promotion('samples/hostile', 'v1')) ?? {};
  if (last !== undefined) throw new Error(`the hostile image ended before its neighbour: ${JSON.stringify(last)}`);
  const steps = runId === undefined ? [] : await stepsOf(up, runId).catch(() => []);
  return steps.some(({ step, state }) => step === 'attachSbom image' && state !== 'done');
}

test('while a hostile image is read, the event loop stays free and a small image is promoted', async () => {
  await promoteSmall('samples/first');
  const endAlone = await measureDelay();
  const aloneMs = await promoteSmall('samples/alone');
  const alone = await endAlone();
  const { digest } = await pushHostileImage(registries.repository(up.source, 'samples/hostile'), HOSTILE);
  const startedMs = Date.now();
  await until('the SBOM of the hostile image to start', async () => ((await isRead()) ? true : undefined));
  const endMeasuring = await measureDelay();

  const neighbours = [await promoteSmall('samples/neighbour')];
  // The neighbour was pushed later and is promoted first.
  expect(await isRead()).toBe(true);
  while (neighbours.length < MOST_NEIGHBOURS && (await isRead().catch(() => false)))
    neighbours.push(await promoteSmall(`samples/neighbour-${neighbours.length}`));

  const { last } = await settled(up, 'samples/hostile', 'v1', 600_000);
  const tookMs = Date.now() - startedMs;
  const delay = await endMeasuring();
  const busy = Math.max(1, (loadavg()[0] ?? 0) / availableParallelism());
  process.stderr.write(
    `hostile: ${tookMs} ms, ${delayText(delay)}; neighbours ${neighbours.join(', ')} ms; alone ${aloneMs} ms, ${delayText(alone)};` +
      ` ${busy.toFixed(1)} threads for each processor\n`,
  );
  // The lying database is a gap in the SBOM, not a failure.
  expect(ending(last)).toMatchObject({ outcome: 'promoted', digest });
  expect(delay.longestTurnMs).toBeLessThan(LONGEST_TURN_MS);
  if (!FULL) return;
  expect(delay.p99Ms).toBeLessThan(busy * TARGETS.p99Ms);
  expect(delay.maxMs).toBeLessThanOrEqual(busy * TARGETS.maxMs);
  expect(Math.max(...neighbours)).toBeLessThan(busy * TARGETS.neighbourMs);
}, 900_000);
