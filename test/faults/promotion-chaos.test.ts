import { afterEach, describe, expect, test } from '@jest/globals';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { userRegistries } from '../../local/start/push.js';
import { ending, startEverything, until, type Everything } from '../support/stack/everything.js';
import { writeImage, writeIndexWithProvenance } from '../support/stack/images.js';
import { expectPromotedOnce, push, settled, tellPush } from './promotion/promoted.js';

// A host that unlocks early, delivers twice, shuffles and loses workers: what is pushed is promoted, with one of each. Then one by one what
// Microsoft's host was seen to do (local/host/chaos.ts).

const seeds = Array.from({ length: process.env['FULL'] === undefined ? 2 : 20 }, (_, index) => index + 1);
const IMAGES = 3;

let up: Everything | undefined;
let folder = '';
afterEach(async () => {
  await up?.stop();
  await rm(folder, { recursive: true, force: true });
}, 60_000);

test.each(seeds)(
  'with chaos of seed %i every image is promoted once',
  async (seed) => {
    folder = await mkdtemp(join(tmpdir(), 'acr-promoter-chaos-'));
    const started = await startEverything({ args: ['--chaos', String(seed), '--lies', 'repeat,kill'] });
    up = started;
    const images = await Promise.all(
      Array.from({ length: IMAGES }, async (_, index) => {
        const layout = join(folder, `image-${index}`);
        const repository = `samples/chaos-${index}`;
        const digest = await writeImage(layout, `${seed} ${index}`);
        await push(started, layout, repository);
        return { repository, digest };
      }),
    );
    const index = await writeIndexWithProvenance(join(folder, 'index'));
    await push(started, join(folder, 'index'), 'samples/chaos-index');
    await Promise.all(images.map(({ repository, digest }) => tellPush(started, repository, digest, 3)));
    for (const { repository, digest } of images) {
      const row = await settled(started, repository);
      expect(ending(row.last)).toMatchObject({ outcome: expect.stringMatching(/^(promoted|unchanged)$/), digest });
      await expectPromotedOnce(started, repository, digest);
    }
    expect((await settled(started, 'samples/chaos-index')).last).toMatchObject({ digest: index });
    await expectPromotedOnce(started, 'samples/chaos-index', index);
  },
  300_000,
);

/** An invocation that hangs is let go of after so long; in Azure host.json says it. */
const FUNCTION_TIMEOUT_MS = 10_000;

async function startWith(lies: string): Promise<Everything> {
  folder = await mkdtemp(join(tmpdir(), 'acr-promoter-lies-'));
  const timeout = ['--function-timeout-ms', String(FUNCTION_TIMEOUT_MS)];
  up = await startEverything({
    args: ['--chaos', '1', '--lies', lies, ...timeout],
    schedule: '*/10 * * * * *',
    rules: ({ source, staging }) => ({
      rules: [
        {
          name: 'lies',
          source: { registry: source, repositories: ['lies/**'] },
          destination: { reference: `${staging}/staging/{repository}:{tag}` },
        },
      ],
    }),
  });
  return up;
}

/** How the runs of the rule ended, the newest first. */
async function outcomes(started: Everything): Promise<string[]> {
  const response = await fetch(`${started.hostUrl}/api/runs?rule=lies`);
  const { runs } = (await response.json()) as { runs: { result?: { outcome: string; code?: string } }[] };
  return runs.map(({ result }) => [result?.outcome, result?.code].filter(Boolean).join(' '));
}

/** The image is promoted once, and no run has failed: one that was cut off is interrupted, and the next one does the rest. */
async function expectWeathersLie(lies: string): Promise<void> {
  const started = await startWith(lies);
  const layout = join(folder, 'image');
  const digest = await writeImage(layout, lies);
  await push(started, layout, 'lies/image');
  const row = await settled(started, 'lies/image', 'v1', 120_000);
  expect(await readFile(join(started.dataDir, 'logs', 'host.log'), 'utf8')).toContain('by --chaos: ');
  await expectPromotedOnce(started, 'lies/image', digest);
  expect(ending(row.last)).toMatchObject({ outcome: expect.stringMatching(/^(promoted|unchanged)$/), digest });
  const [last, ...before] = await outcomes(started);
  expect(last).toMatch(/^(promoted|unchanged)$/);
  expect(before.filter((outcome) => outcome !== 'interrupted' && outcome !== 'promoted')).toEqual([]);
}

/** One in the daily run, all in the full run. */
const some = <T>(first: T, ...more: T[]): T[] => (process.env['FULL'] === undefined ? [first] : [first, ...more]);

describe('one lie of the host', () => {
  test.each(some('hang:observe@1', 'hang:attach@1', 'hang:closeRun@1'))(
    'with %s, the image is promoted',
    async (lies) => await expectWeathersLie(lies),
    200_000,
  );

  test.each(some('fail-turn:promote@4', 'fail-turn:promote@1', 'hang:promote@3'))(
    'with %s, the run is interrupted, and the next one promotes the image',
    async (lies) => await expectWeathersLie(lies),
    200_000,
  );

  test.each(some('fail-activity:attach@1', 'fail-activity:observe@1', 'fail-activity:closeRun@1'))(
    'with %s, an activity whose workers died interrupts the run, and the next one promotes the image',
    async (lies) => await expectWeathersLie(lies),
    200_000,
  );

  test('with fail-turn:runJob@3, a copy job is started once more and completes', async () => {
    const started = await startWith('fail-turn:runJob@3');
    const layout = join(folder, 'image');
    const digest = await writeImage(layout, 'job');
    await push(started, layout, 'jobs/image');
    const source = `${started.source}/jobs/image:v1`;
    const body = JSON.stringify({
      operation: 'copy',
      id: 'a-copy',
      source,
      destination: `${started.staging}/copied/image:v1`,
    });
    expect((await fetch(`${started.hostUrl}/api/jobs`, { method: 'POST', body })).status).toBe(202);
    const run = await until(
      () => `the copy to end\n${started.output().slice(-2000)}`,
      async () => {
        const seen = (await (await fetch(`${started.hostUrl}/api/jobs/a-copy`)).json()) as { state: string };
        return seen.state === 'ended' ? seen : undefined;
      },
      150_000,
    );
    expect(run).toMatchObject({ result: { outcome: 'completed', digest }, startedAgainAt: expect.any(String) });
    const registries = userRegistries(started);
    try {
      expect(await registries.repository(started.staging, 'copied/image').resolve('v1')).toMatchObject({ digest });
    } finally {
      await registries.close();
    }
  }, 200_000);
});
