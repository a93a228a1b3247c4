import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ending, startEverything, until, type Everything } from '../support/stack/everything.js';
import { writeHeavyImage } from './promotion/images.js';
import { push } from './promotion/promoted.js';
import { FaultProxy } from './trouble/fault-proxy.js';

// What trouble.test.ts plays, twice for real: the host, its timers, and a destination behind a proxy.

let up: Everything;
let folder: string;
const destination = new FaultProxy();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'acr-promoter-outage-'));
  await destination.open();
  up = await startEverything({
    anonymous: true,
    rules: ({ source }) => ({
      rules: [
        {
          name: 'outage',
          source: { registry: source, repositories: ['samples/**'] },
          triggers: ['push'],
          destination: { reference: `${destination.authority}/staging/{repository}:{tag}` },
        },
      ],
    }),
    settings: { ALLOWED_REGISTRIES: destination.authority },
  });
  destination.upstreamPort = Number(up.staging.split(':')[1]);
}, 120_000);
afterAll(async () => {
  await up?.stop();
  await destination.close();
  await rm(folder, { recursive: true, force: true });
}, 60_000);

interface Run {
  steps: { step: string; state: string; text: string; waitsFor?: { code: string; tries: number; nextAt: string } }[];
}

/** The step that waits, once the run says that it does. */
async function waiting(repository: string, tries: number): Promise<{ runId: string; step: Run['steps'][number] }> {
  return until(`a run of ${repository} that waits`, async () => {
    const runId = (await up.promotion(repository, 'v1'))?.runId;
    if (runId === undefined) return undefined;
    const answer = await fetch(`${up.hostUrl}/api/runs/${runId}`);
    if (!answer.ok) return undefined;
    const { steps } = (await answer.json()) as Run;
    const step = steps.find(({ state, waitsFor }) => state === 'waiting' && (waitsFor?.tries ?? 0) >= tries);
    return step === undefined ? undefined : { runId, step };
  });
}

async function pushed(repository: string): Promise<{ digest: string; sinceMs: number }> {
  const sinceMs = Date.now();
  const layout = join(folder, repository.replaceAll('/', '-'));
  const digest = await writeHeavyImage(layout, repository, { layerBytes: 100_000 });
  await push(up, layout, repository);
  return { digest, sinceMs };
}

async function standing(repository: string): Promise<string | null> {
  const accept = 'application/vnd.oci.image.manifest.v1+json';
  const answer = await fetch(`http://${up.staging}/v2/staging/${repository}/manifests/v1`, { headers: { accept } });
  return answer.headers.get('docker-content-digest');
}

test('a run whose destination is down reports it, waits, and continues when it is up', async () => {
  await destination.close();
  const { digest, sinceMs } = await pushed('samples/down');
  const { runId, step } = await waiting('samples/down', 3);
  expect(step.text).toMatch(
    /^destination \S+ not answering since \d\d:\d\d \(no connection: ECONNREFUSED, \d+ tries, next \d\d:\d\d\)$/,
  );
  expect(step.waitsFor).toMatchObject({ code: 'CONNECT_FAILED', nextAt: expect.stringMatching(/Z$/) });
  await destination.open();
  const { last } = await up.ended('samples/down', 'v1', sinceMs);
  expect(ending(last)).toMatchObject({ outcome: 'promoted', runId, digest });
  expect(await standing('samples/down')).toBe(digest);
}, 180_000);

test('a 429 with a long Retry-After is waited out by one durable timer', async () => {
  const retryAfter = 35;
  let firstMs = 0;
  destination.fault = ({ method }) => {
    if (method !== 'PUT') return undefined;
    firstMs ||= Date.now();
    return Date.now() - firstMs < retryAfter * 1000 ? { status: 429, code: 'TOOMANYREQUESTS', retryAfter } : undefined;
  };
  const { digest, sinceMs } = await pushed('samples/throttled');
  const { runId, step } = await waiting('samples/throttled', 1);
  expect(step.waitsFor).toMatchObject({ code: 'TOOMANYREQUESTS', tries: 1 });
  const { last } = await up.ended('samples/throttled', 'v1', sinceMs);
  expect(ending(last)).toMatchObject({ outcome: 'promoted', runId, digest });
  expect(Date.parse(last?.finishedAt ?? '') - firstMs).toBeGreaterThanOrEqual(retryAfter * 1000);
}, 180_000);
