import { InvocationContext } from '@azure/functions';
import { beforeEach, describe, expect, test } from '@jest/globals';
import type { OrchestrationHandler } from 'durable-functions';
import { TransportError } from '../../../src/oci/index.js';
import { cancelRun } from '../../../src/rows/cancellation.js';
import { incrementGeneration } from '../../../src/rows/generation.js';
import { rule } from '../../support/rules.fixture.js';
import { openJobRun } from '../../support/job-world.js';
import { NOTARY_SIGNATURE, countReferrers, pushImage } from '../../support/images.js';
import {
  DESTINATION,
  REGISTRY,
  SOURCE,
  newSigner,
  newWorld,
  openRun,
  rowOf,
  runOf,
  tagAt,
  type World,
} from '../../support/world.js';
import { SBOM_MEDIA_TYPES } from '../../../src/sbom/index.js';
import { register, type Registered } from '../../support/registered.js';
import { replay, type Activity, type Played, type Script } from '../../support/replay.js';
import { answerCancel } from '../../../src/functions/http/cancel-run.js';
import { answerRun } from '../../../src/functions/http/run-promotion.js';

// Orchestration, activities and steps together: a run is stopped at each of its steps, and while it waits.

let world: World;
let app: Registered;
beforeEach(() => {
  world = newWorld();
  app = register(world);
});

type Moment = (name: string, when: 'before' | 'after') => Promise<void>;

async function play(runId: string, moment: Moment = async () => {}, more: Partial<Script> = {}): Promise<Played> {
  const context = new InvocationContext({ functionName: 'activity', logHandler: () => {} });
  const start = world.engine.starts.find(({ id }) => id === runId);
  if (start === undefined) throw new Error(`${runId} was not started`);
  world.engine.setState(runId, 'running');
  const activities: Record<string, Activity> = Object.fromEntries(
    [...app.activities].map(([name, { handler }]) => [
      name,
      async (input: unknown) => {
        await moment(name, 'before');
        const answer = await handler(input, context);
        await moment(name, 'after');
        return answer;
      },
    ]),
  );
  const handler = app.orchestrations.get(start.orchestration) as OrchestrationHandler;
  const played = await replay(handler, { input: start.input, activities, ...more });
  world.engine.setState(runId, 'ended');
  return played;
}

const stop = (runId: string) => cancelRun(world, runId, { by: 'mia' });
const stopAt =
  (runId: string, at: string, moment: 'before' | 'after'): Moment =>
  async (name, when) => {
    if (name === at && when === moment) await stop(runId);
  };
const source = () => world.registries.repository(REGISTRY, SOURCE.repository);

describe('a run that is stopped', () => {
  const STEPS = ['observe', 'attach', 'copy', 'verifyArrival', 'tagDestination'];
  test.each(STEPS)('before %s leaves no tag and nothing incomplete, and the next run continues', async (step) => {
    const image = await pushImage(source(), { tag: SOURCE.tag });
    const run = await openRun(world);
    const played = await play(run.runId, stopAt(run.runId, step, 'before'));
    expect(played.output).toMatchObject({ outcome: 'cancelled', code: 'RUN_CANCELLED' });
    expect(played.calls.at(-1)?.name).toBe('closeRun');
    expect(await rowOf(world, run.promotionId)).toMatchObject({
      state: 'cancelled',
      runOpen: false,
      last: { outcome: 'cancelled', digest: image.digest, reason: expect.stringMatching(/^cancelled by mia at 20/) },
    });
    expect(tagAt(world, DESTINATION)).toBeUndefined();
    for (const document of await source().listReferrers(image.digest)) {
      const signed = await countReferrers(source(), document, NOTARY_SIGNATURE);
      expect(document.artifactType === SBOM_MEDIA_TYPES.cyclonedx ? signed : 1).toBe(1);
    }
    const [event] = world.queues.sent;
    expect(JSON.parse(event?.text ?? '')).toMatchObject({ type: 'acr-promoter.promotion.cancelled' });

    const answer = await answerRun(world, run.promotionId);
    expect(answer).toMatchObject({ status: 202, jsonBody: { generation: 2 } });
    const { runId } = answer.jsonBody as { runId: string };
    expect((await play(runId)).output).toMatchObject({ outcome: 'promoted' });
    expect(tagAt(world, DESTINATION)).toBe(image.digest);
    const destination = world.registries.repository(REGISTRY, 'staging/samples/app');
    expect(await countReferrers(destination, image, SBOM_MEDIA_TYPES.cyclonedx)).toBe(1);
    expect(await countReferrers(destination, image, NOTARY_SIGNATURE)).toBe(1);
  });

  test.each(['observe', 'attach', 'copy', 'verifyArrival'])(
    'between two calls of %s: the run ends there; the next goes on',
    async (step) => {
      world.callBounds = { ...world.callBounds, requests: 1 };
      const image = await pushImage(source(), { tag: SOURCE.tag });
      const run = await openRun(world);
      let calls = 0;
      const stopped = await play(run.runId, async (name, when) => {
        if (name === step && when === 'after' && (calls += 1) === 1) await stop(run.runId);
      });
      expect(calls).toBe(2);
      expect(stopped.output).toMatchObject({ outcome: 'cancelled' });
      expect(tagAt(world, DESTINATION)).toBeUndefined();
      const { runId } = (await answerRun(world, run.promotionId)).jsonBody as { runId: string };
      expect((await play(runId)).output).toMatchObject({ outcome: 'promoted' });
      expect(tagAt(world, DESTINATION)).toBe(image.digest);
    },
  );

  test('before it began takes its row, closes it, and does nothing else', async () => {
    const image = await pushImage(source(), { tag: SOURCE.tag });
    const run = await openRun(world);
    await stop(run.runId);
    const played = await play(run.runId);
    expect(played.calls.map(({ name }) => name)).toEqual(['observe', 'closeRun']);
    expect(await rowOf(world, run.promotionId)).toMatchObject({ state: 'cancelled', last: { digest: image.digest } });
  });

  test('under the lease of the destination, just before the write, leaves no tag', async () => {
    await pushImage(source(), { tag: SOURCE.tag });
    const run = await openRun(world);
    const at = source();
    const resolve = at.resolve.bind(at);
    let looks = 0;
    at.resolve = async (...args) => {
      // observe, copy, and the last look at the source under the lease.
      if (world.lease.held.has(`destination ${DESTINATION}`) && (looks += 1) === 1) await stop(run.runId);
      return resolve(...args);
    };
    expect((await play(run.runId)).output).toMatchObject({ outcome: 'cancelled' });
    expect(looks).toBeGreaterThan(0);
    expect(tagAt(world, DESTINATION)).toBeUndefined();
  });

  test('after its tag was written ends as promoted, and the requester learns this', async () => {
    await pushImage(source(), { tag: SOURCE.tag });
    const run = await openRun(world);
    const played = await play(run.runId, stopAt(run.runId, 'tagDestination', 'after'));
    expect(played.output).toMatchObject({ outcome: 'promoted' });
    expect(await answerCancel(world, run.runId, { text: async () => '' })).toMatchObject({
      status: 409,
      jsonBody: { error: { code: 'RUN_ENDED', remedy: expect.any(String) } },
    });
  });

  describe('while its tag is being written', () => {
    const destination = () => world.registries.repository(REGISTRY, 'staging/samples/app');
    const lost = new TransportError('TIMEOUT', 'no answer in time');
    /** What becomes of the PUT of the tag; `put` does it. */
    function onPut(become: (put: () => Promise<unknown>, signal: AbortSignal | undefined) => Promise<void>): void {
      const at = destination();
      const push = at.pushManifest.bind(at);
      let puts = 0;
      at.pushManifest = async (bytes, mediaType, options) => {
        if (options?.tag === undefined || (puts += 1) > 1) return push(bytes, mediaType, options);
        let pushed: Awaited<ReturnType<typeof push>> | undefined;
        await become(async () => (pushed = await push(bytes, mediaType, options)), options.signal);
        if (pushed === undefined) throw lost;
        return pushed;
      };
    }
    /** The run's row was read since, by whatever watches it. */
    async function watched(): Promise<void> {
      const getRun = world.store.getRun.bind(world.store);
      await new Promise<void>((resolve) => {
        world.store.getRun = async (id) => {
          const row = await getRun(id);
          resolve();
          return row;
        };
      });
      // And what the watch makes of it.
      await new Promise((resolve) => setTimeout(resolve, 10));
      world.store.getRun = getRun;
    }
    async function expectPromoted(runId: string, moment?: Moment): Promise<void> {
      const woken = () => world.engine.notified.map(({ event }) => event);
      const played = await play(runId, moment, { event: (waits) => woken().find((event) => waits.includes(event)) });
      expect(played.output).toMatchObject({ outcome: 'promoted' });
      expect(tagAt(world, DESTINATION)).toBeDefined();
      expect(await answerCancel(world, runId, { text: async () => '' })).toMatchObject({ status: 409 });
    }

    let runId: string;
    beforeEach(async () => {
      await pushImage(source(), { tag: SOURCE.tag });
      ({ runId } = await openRun(world));
    });

    test('ends as promoted, however long the write takes', async () => {
      onPut(async (put, signal) => {
        await stop(runId);
        await watched();
        signal?.throwIfAborted();
        await put();
      });
      await expectPromoted(runId);
    });

    test('ends as promoted if the answer is lost but the tag is there', async () => {
      onPut(async (put) => {
        await put();
        await stop(runId);
        await watched();
        throw lost;
      });
      await expectPromoted(runId);
    });

    test('ends as promoted if the answer was lost and the run waits to try again', async () => {
      onPut(async (put) => {
        await put();
        throw lost;
      });
      await expectPromoted(runId, stopAt(runId, 'tagDestination', 'after'));
    });

    test('ends as promoted if the answer was lost and the step ends at that moment', async () => {
      onPut(async (put) => {
        await put();
        await stop(runId);
        throw lost;
      });
      await expectPromoted(runId);
    });

    test('ends as promoted if the worker dies', async () => {
      let deaths = 0;
      await expectPromoted(runId, async (name, when) => {
        if (name !== 'tagDestination' || when === 'before' || (deaths += 1) > 1) return;
        await stop(runId);
        throw new Error('the worker died');
      });
    });

    test('ends as cancelled without a tag if the registry refused the write', async () => {
      onPut(async () => {
        await stop(runId);
        throw lost;
      });
      expect((await play(runId)).output).toMatchObject({ outcome: 'cancelled' });
      expect(tagAt(world, DESTINATION)).toBeUndefined();
    });
  });

  test('during a step ends it, even if the step waits for an answer', async () => {
    await pushImage(source(), { tag: SOURCE.tag });
    const run = await openRun(world);
    world.sbom = {
      generate: async ({ signal }) => {
        await stop(run.runId);
        return new Promise((_resolve, reject) =>
          signal?.addEventListener('abort', () => reject(new Error('STALLED: no'))),
        );
      },
    };
    app = register(world);
    expect((await play(run.runId)).output).toMatchObject({ outcome: 'cancelled' });
    expect(await source().listReferrers((await source().resolve(SOURCE.tag)).digest)).toEqual([]);
  });

  test('while a step waits for a lease is woken before its timer', async () => {
    const image = await pushImage(source(), { tag: SOURCE.tag });
    const run = await openRun(world);
    await world.lease.acquire(`subject ${REGISTRY}/${SOURCE.repository}@${image.digest}`);
    const played = await play(run.runId, stopAt(run.runId, 'attach', 'after'), {
      event: (waits) => world.engine.notified.map(({ event }) => event).find((event) => waits.includes(event)),
    });
    expect(played.output).toMatchObject({ outcome: 'cancelled' });
    expect(played.timersMs).toEqual([]);
  });

  test('when a step is about to wait for a lease does not wait', async () => {
    await pushImage(source(), { tag: SOURCE.tag });
    const run = await openRun(world);
    const acquire = world.lease.acquire.bind(world.lease);
    let tries = 0;
    world.lease.acquire = async (name, options) => {
      if (!name.startsWith('subject ') || (tries += 1) > 1) return acquire(name, options);
      // The request finds no wait to end, because the step has not written yet that it waits.
      await stop(run.runId);
      return undefined;
    };
    const played = await play(run.runId);
    expect(tries).toBe(1);
    expect(played.output).toMatchObject({ outcome: 'cancelled' });
    expect(played.timersMs).toEqual([]);
  });

  test('at the gate ends', async () => {
    const release = newSigner('release');
    world.ruleList = [rule({ verify: { signatures: [{ format: 'notary', trustStore: release.certificatePem }] } })];
    await pushImage(source(), { tag: SOURCE.tag });
    const run = await openRun(world);
    const played = await play(run.runId, stopAt(run.runId, 'markWaiting', 'after'), {
      event: (waits) => world.engine.notified.map(({ event }) => event).find((event) => waits.includes(event)),
    });
    expect(played.output).toMatchObject({ outcome: 'cancelled' });
    expect(played.timersMs).toEqual([]);
    expect(await rowOf(world, run.promotionId)).not.toHaveProperty('waitingFor');
  });

  test('during a pause between two checks of the gate ends', async () => {
    const release = newSigner('release');
    world.ruleList = [rule({ verify: { signatures: [{ format: 'notary', trustStore: release.certificatePem }] } })];
    await pushImage(source(), { tag: SOURCE.tag });
    const run = await openRun(world);
    let pauses = 0;
    const moment: Moment = async (name, when) => {
      if (name !== 'markWaiting') return;
      // Pushes don't cease: from the fifth look on it pauses.
      if (when === 'before') await openRun(world);
      else if ((await rowOf(world, run.promotionId)).state === 'waiting' && (pauses += 1) === 2) await stop(run.runId);
    };
    const played = await play(run.runId, moment, {
      clock: (nowMs) => {
        world.nowMs = nowMs;
      },
      event: (waits) => world.engine.notified.map(({ event }) => event).find((event) => waits.includes(event)),
    });
    expect(played.output).toMatchObject({ outcome: 'cancelled' });
    expect(played.waits.at(-1)).toMatch(/^notify-/);
    // The first pause; the second was ended.
    expect(played.timersMs).toHaveLength(1);
  });

  test('at the start of its wait at the gate does not wait', async () => {
    const release = newSigner('release');
    world.ruleList = [rule({ verify: { signatures: [{ format: 'notary', trustStore: release.certificatePem }] } })];
    await pushImage(source(), { tag: SOURCE.tag });
    const run = await openRun(world);
    const replacePromotion = world.store.replacePromotion.bind(world.store);
    world.store.replacePromotion = async (row, version) => {
      // The caller that stops it reads the row before the wait is in it.
      if (row.waitingFor !== undefined) await stop(run.runId);
      return replacePromotion(row, version);
    };
    const played = await play(run.runId);
    expect(played.output).toMatchObject({ outcome: 'cancelled' });
    expect(played.waits).toEqual([]);
  });
});

test('a job that is stopped ends as cancelled, even before it began', async () => {
  await openJobRun(world, { operation: 'promote', source: `${REGISTRY}/samples/app:v1` }, 'r1');
  await world.engine.start('runJob', 'r1', { runId: 'r1' });
  await stop('r1');
  const played = await play('r1');
  expect(played.calls.map(({ name }) => name)).toEqual(['beginJob', 'closeJob']);
  expect(await runOf(world, 'r1')).toMatchObject({ state: 'ended', result: { outcome: 'cancelled' } });
});

describe('over HTTP', () => {
  const body = (text: string) => ({ text: async () => text });

  test('a request keeps the caller and the reason of the first, each time', async () => {
    const { runId } = await openRun(world);
    const first = await answerCancel(world, runId, body('{"by": "mia", "reason": "wrong\\nimage"}'));
    expect(first).toMatchObject({
      status: 202,
      jsonBody: { runId, statusUrl: `/api/runs/${runId}`, cancel: { by: 'mia', reason: 'wrong image', generation: 1 } },
    });
    expect(await answerCancel(world, runId, body(''))).toEqual(first);
  });

  test.each(['x', '[]', '{"by": 1}', '{"who": "mia"}', `{"by": "${'x'.repeat(5_000)}"}`])(
    '400: %.20s',
    async (text) => {
      const { runId } = await openRun(world);
      expect(await answerCancel(world, runId, body(text))).toMatchObject({ status: 400 });
      expect((await runOf(world, runId)).cancel).toBeUndefined();
    },
  );

  test('a request for an unknown run, or one that has ended, is refused', async () => {
    expect(await answerCancel(world, 'none', body(''))).toMatchObject({ status: 404 });
  });

  test('a request to run a promotion is coalesced by an open run, and gets 409 without its rule or for a tag that no longer matches', async () => {
    const { promotionId, runId } = await openRun(world);
    world.engine.setState(runId, 'running');
    expect(await answerRun(world, promotionId)).toMatchObject({ status: 202, jsonBody: { runId, generation: 2 } });
    expect(await answerRun(world, 'none')).toMatchObject({
      status: 404,
      jsonBody: { error: { remedy: expect.stringContaining('acr-promoter promotions --wide') } },
    });
    world.ruleList = [rule({ source: { registry: REGISTRY, repositories: ['other/**'] } })];
    expect(await answerRun(world, promotionId)).toMatchObject({
      jsonBody: { error: { code: 'NO_RULE_MATCHES', remedy: expect.stringContaining('staging') } },
    });
    world.ruleList = [];
    expect(await answerRun(world, promotionId)).toMatchObject({
      jsonBody: { error: { code: 'RULE_GONE', remedy: expect.any(String) } },
    });
    expect((await rowOf(world, promotionId)).generation).toBe(2);
  });

  test('a request to run a promotion while the app is paused increments the generation and opens no run', async () => {
    world.paused = true;
    const { promotionId } = await incrementGeneration(world, rule(), SOURCE, { kind: 'push' });
    const answer = await answerRun(world, promotionId);
    expect(answer.status).toBe(202);
    expect(JSON.parse(JSON.stringify(answer.jsonBody))).not.toHaveProperty('runId');
  });
});
