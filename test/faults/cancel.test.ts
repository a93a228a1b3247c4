import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { userRegistries } from '../../local/start/push.js';
import { createSelfSignedCertificate } from '../support/self-signed.js';
import { describeWithPeers } from '../support/peers.js';
import { ending, startEverything, until, type Everything } from '../support/stack/everything.js';
import { discover } from '../support/stack/programs.js';
import { writeHeavyImage } from './promotion/images.js';
import { expectPromotedOnce, push, settled } from './promotion/promoted.js';

// A run is stopped in the middle of an SBOM, in the middle of a copy, while a registry says nothing, and while it waits: it ends
// soon, leaves no tag and nothing half made, is left alone by the schedule, and the next run goes on from there.

const FULL = process.env['FULL'] !== undefined;
const IMAGE = { layerBytes: 60_000_000, layers: FULL ? 5 : 2 };
/** A layer takes four seconds, however fast the machine is: there is a middle to be stopped in. */
const SOURCE_QUIRKS = ['--source-quirks', 'blobBytesPerSecond=15000000'];
/** From the request to the end of the run, on a machine that is busy: less than any timeout of a request. */
const WITHIN_MS = 50_000;

interface Step {
  step: string;
  state: string;
  text: string;
  doneBytes?: number;
  totalBytes?: number;
}
interface Run {
  state: string;
  finishedAt?: string;
  cancel?: { at: string; by: string };
  result?: { outcome: string; code?: string; reason?: string };
  steps: Step[];
}

describeWithPeers('a run that is cancelled', ['oras'], ([oras = '']) => {
  let up: Everything;
  let folder: string;
  let stoppedPid: number | undefined;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'acr-promoter-cancel-'));
    const certificate = join(folder, 'they.crt');
    const they = createSelfSignedCertificate({ commonName: 'they', organization: 'example', days: 1 });
    await writeFile(certificate, they.certificatePem);
    up = await startEverything({
      schedule: '*/3 * * * * *',
      args: SOURCE_QUIRKS,
      rules: ({ source, staging }) => {
        const destination = { reference: `${staging}/staging/{repository}:{tag}` };
        const signatures = [{ format: 'notary', trustStore: certificate, identities: ['*'] }];
        const from = (repositories: string[]) => ({ registry: source, repositories });
        return {
          rules: [
            { name: 'local', existing: 'promote', source: from(['samples/**']), destination },
            { name: 'gated', existing: 'promote', source: from(['gated/**']), verify: { signatures }, destination },
          ],
        };
      },
    });
  }, 120_000);
  afterEach(() => {
    if (stoppedPid !== undefined) process.kill(stoppedPid, 'SIGCONT');
    stoppedPid = undefined;
  });
  afterAll(async () => {
    await up?.stop();
    await rm(folder, { recursive: true, force: true });
  }, 60_000);

  const post = async (path: string, body: unknown): Promise<{ status: number; body: unknown }> => {
    const answer = await fetch(`${up.hostUrl}/api/${path}`, { method: 'POST', body: JSON.stringify(body) });
    return { status: answer.status, body: await answer.json() };
  };
  const runOf = async (id: string): Promise<Run> => {
    const answer = await fetch(`${up.hostUrl}/api/runs/${id}`);
    if (!answer.ok) throw new Error(`runs/${id}: ${answer.status}`);
    return (await answer.json()) as Run;
  };

  /** Pushes, and waits until the run is as it should be. */
  async function underWay(repository: string, look: (run: Run) => boolean): Promise<{ runId: string; digest: string }> {
    const layout = join(folder, repository.replace('/', '-'));
    const digest = await writeHeavyImage(layout, repository, IMAGE);
    await push(up, layout, repository);
    await rm(layout, { recursive: true });
    for (const end = Date.now() + 60_000; Date.now() < end;) {
      const row = await up.promotion(repository, 'v1');
      // The promotion names a run that is about to begin.
      const run = row?.runId === undefined ? undefined : await runOf(row.runId).catch(() => undefined);
      if (row?.runId !== undefined && run !== undefined && look(run)) return { runId: row.runId, digest };
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    throw new Error(`${repository} was never so\n${up.output().slice(-3000)}`);
  }
  const moving =
    (step: string) =>
    ({ steps }: Run): boolean =>
      steps.some((each) => each.step.startsWith(step) && each.state === 'working' && (each.doneBytes ?? 0) > 0);

  /** Asks it to stop, and waits for its end. @returns how long that took */
  async function cancelled(runId: string): Promise<number> {
    const since = Date.now();
    const answer = await post(`runs/${runId}/cancel`, { by: 'mia' });
    expect(answer).toMatchObject({ status: 202, body: { runId, cancel: { by: 'mia' } } });
    const run = await until('the run to end', async () => {
      const now = await runOf(runId);
      return now.state === 'ended' ? now : undefined;
    });
    const tookMs = Date.now() - since;
    expect(run.result).toMatchObject({ outcome: 'cancelled', code: 'RUN_CANCELLED' });
    expect(run.result?.reason).toContain('by mia at');
    expect(tookMs).toBeLessThan(WITHIN_MS);
    return tookMs;
  }

  async function expectLeftAlone(repository: string, runId: string): Promise<void> {
    await up.nextScan();
    expect(await up.promotion(repository, 'v1')).toMatchObject({ state: 'cancelled', runOpen: false, runId });
    const registries = userRegistries(up);
    const tag = registries.repository(up.staging, `staging/${repository}`).resolve('v1');
    await expect(tag).rejects.toMatchObject({ notFound: true });
    await registries.close();
  }

  /** What refers to an image, or to what refers to it, is whole: an SBOM has its signature. */
  async function expectNothingHalfMade(reference: string): Promise<void> {
    const { referrers = [] } = await discover(oras, reference, up.user);
    for (const each of referrers) {
      if (each.artifactType !== 'application/vnd.cyclonedx+json') continue;
      expect((each.referrers ?? []).map(({ artifactType }) => artifactType)).toEqual([
        'application/vnd.cncf.notary.signature',
      ]);
    }
  }

  async function expectGoesOn(repository: string, runId: string, digest: string): Promise<void> {
    const { id } = (await up.promotion(repository, 'v1')) ?? { id: '' };
    const next = (await post(`promotions/${id}/run`, {})) as { status: number; body: { runId: string } };
    expect(next.status).toBe(202);
    expect(next.body.runId).not.toBe(runId);
    expect(ending((await settled(up, repository)).last)).toMatchObject({
      outcome: 'promoted',
      runId: next.body.runId,
      digest,
    });
    await expectPromotedOnce(up, repository, digest);
  }

  const expectBrokenOff = (run: Run, step: string): void => {
    const of = run.steps.find((each) => each.step.startsWith(step));
    expect(of).toMatchObject({ state: 'failed', text: expect.stringMatching(/^RUN_CANCELLED: /) });
    expect(of?.doneBytes ?? 0).toBeLessThan(of?.totalBytes ?? Infinity);
  };

  test.each([
    ['attachSbom', 'registry-source', 'sbom'],
    ['copy', 'registry-staging', 'copy'],
  ])(
    'cancelling during %s while %s does not answer ends the run soon',
    async (step, registry, name) => {
      const repository = `samples/${name}-silent`;
      const { runId, digest } = await underWay(repository, moving(step));
      stoppedPid = await up.processId(registry);
      process.kill(stoppedPid, 'SIGSTOP');
      const tookMs = await cancelled(runId);
      process.kill(stoppedPid, 'SIGCONT');
      stoppedPid = undefined;
      process.stderr.write(`${name}, silent: ended ${tookMs} ms after it was asked to\n`);
      expectBrokenOff(await runOf(runId), step);
      await expectNothingHalfMade(`${up.source}/${repository}@${digest}`);
      if (step === 'attachSbom') {
        expect((await discover(oras, `${up.source}/${repository}@${digest}`, up.user)).referrers ?? []).toEqual([]);
      }
      await expectLeftAlone(repository, runId);
      await expectGoesOn(repository, runId, digest);
    },
    240_000,
  );

  test('cancelling during a copy ends the run soon, and a second request gets the same answer', async () => {
    const repository = 'samples/copy-busy';
    const { runId, digest } = await underWay(repository, moving('copy'));
    const tookMs = await cancelled(runId);
    process.stderr.write(`copy, busy: ended ${tookMs} ms after it was asked to\n`);
    const { cancel } = await runOf(runId);
    expect(await post(`runs/${runId}/cancel`, { by: 'noah' })).toMatchObject({ status: 202, body: { cancel } });
    await expectLeftAlone(repository, runId);
    await expectGoesOn(repository, runId, digest);
    const { runId: last = '' } = (await up.promotion(repository, 'v1')) ?? {};
    expect(await post(`runs/${last}/cancel`, {})).toMatchObject({
      status: 409,
      body: { error: { code: 'RUN_ENDED' } },
    });
  }, 360_000);

  test('cancelling a run that waits for a signature ends it soon', async () => {
    const repository = 'gated/waits';
    const { runId } = await underWay(repository, ({ steps }) =>
      steps.some(({ step, state }) => step === 'markWaiting' && state === 'done'),
    );
    const tookMs = await cancelled(runId);
    process.stderr.write(`waiting: ended ${tookMs} ms after it was asked to\n`);
    await expectLeftAlone(repository, runId);
  }, 240_000);
});
