import { beforeEach, describe, expect, test } from '@jest/globals';
import { cancelRun } from '../../../src/rows/cancellation.js';
import type { Outcome } from '../../../src/rows/run-row.js';
import { reconcilePromotion } from '../../../src/rows/reconcile.js';
import { closeRunStep } from '../../../src/promotions/close-run.js';
import { writeBegun } from '../../../src/promotions/observe.js';
import type { InputOf } from '../../../src/rows/step-contract.js';
import type { closeRunContract } from '../../../src/promotions/contracts.js';
import { copyContract, tagDestinationContract } from '../../../src/transfer/contracts.js';
import type { StepProgress } from '../../../src/rows/step-progress.js';
import { breakEverywhere } from '../../support/breaking.js';
import { DESTINATION, begin, newCall, newWorld, openRun, rowOf, runOf, type World } from '../../support/world.js';

type Input = InputOf<typeof closeRunContract>;

let world: World;
let run: Awaited<ReturnType<typeof openRun>>;

/** A run that the engine has begun. */
async function begunRun(in_: World): Promise<Awaited<ReturnType<typeof openRun>>> {
  const opened = await openRun(in_);
  await begin(in_, opened);
  return opened;
}

beforeEach(async () => {
  world = newWorld();
  run = await begunRun(world);
});

function input(outcome: Outcome, changes: Partial<Input> = {}): Input {
  const result = { outcome, digest: 'sha256:a' };
  const { promotionId, runId } = run;
  return { promotionId, runId, generation: 1, result, did: ['copied 1, mounted 1, 0 were there'], ...changes };
}
const closeIn = async (ports: World, given: Input, waitedMs = 0): Promise<unknown> => {
  const reply = await closeRunStep(ports, given, { ...newCall(), waitedMs });
  return 'done' in reply ? reply.done : reply;
};
const close = (outcome: Outcome, changes: Partial<Input> = {}): Promise<unknown> =>
  closeIn(world, input(outcome, changes));
const events = (of = world): Record<string, unknown>[] =>
  of.queues.sent.map(({ text }) => JSON.parse(text) as Record<string, unknown>);
const receipts = (of = world): string[] => [...of.documents.kept.keys()].filter((name) => name.startsWith('receipts/'));

describe('the result of a run', () => {
  test.each(['promoted', 'observed', 'superseded', 'refused', 'failed', 'cancelled'] as const)(
    'is one CloudEvent and one receipt for %s',
    async (outcome) => {
      expect(await close(outcome)).toBe(outcome === 'superseded' ? 'next' : 'closed');
      expect(world.queues.sent.map(({ queue }) => queue)).toEqual(['promotion-results']);
      expect(events()).toEqual([
        {
          specversion: '1.0',
          id: run.runId,
          type: `acr-promoter.promotion.${outcome}`,
          source: `/promotions/${run.promotionId}`,
          subject: 'r.azurecr.io/samples/app:v1',
          time: world.now().toISOString(),
          datacontenttype: 'application/json',
          data: expect.objectContaining({
            outcome,
            digest: 'sha256:a',
            rule: 'staging',
            runId: run.runId,
            destination: DESTINATION,
            source: 'r.azurecr.io/samples/app:v1',
            trigger: { kind: 'push', at: expect.any(String) },
            openedAt: expect.any(String),
            finishedAt: world.now().toISOString(),
            did: ['copied 1, mounted 1, 0 were there'],
          }),
        },
      ]);
      expect(receipts()).toEqual([`receipts/${run.runId}.json`]);
    },
  );

  test('is not sent for unchanged', async () => {
    const outcome = 'unchanged';
    await close(outcome);
    expect(events()).toEqual([]);
    expect(receipts()).toEqual([]);
    expect(await runOf(world, run.runId)).toMatchObject({ state: 'ended', result: { outcome } });
  });

  test('is sent once if the run is closed twice', async () => {
    await close('promoted');
    expect(await close('promoted')).toBe('closed');
    expect(events()).toHaveLength(1);
  });

  test('answers the generation in the row if the run has read none', async () => {
    const { generation: _read, ...unread } = input('failed');
    await openRun(world);
    expect(await closeIn(world, unread)).toBe('next');
    expect(await rowOf(world, run.promotionId)).toMatchObject({ generation: 2, observedGeneration: 1, runOpen: true });
  });

  test('is not sent by a run that does not own the row', async () => {
    expect(await closeIn(world, { ...input('promoted'), runId: 'another' })).toBe('gone');
    expect(events()).toEqual([]);
  });

  test('is shortened in the message and complete in the receipt', async () => {
    const did = Array.from({ length: 400 }, (_, index) => `attached signature ${index} ${'x'.repeat(200)}`);
    const result = { outcome: 'failed', code: 'X', reason: 'y'.repeat(60_000), remedy: 'z' } as const;
    expect(await close('failed', { did, result })).toBe('closed');
    const [event] = events();
    expect(event).toMatchObject({ id: run.runId, data: { outcome: 'failed', code: 'X' } });
    const receipt = Buffer.from(world.documents.kept.get(`receipts/${run.runId}.json`) ?? '').toString();
    expect((JSON.parse(receipt) as { data: { did: string[] } }).data.did).toEqual(did);
  });
});

describe('the end of a run', () => {
  test('sends the event and opens the next run if a trigger came meanwhile', async () => {
    await openRun(world);
    expect(await close('promoted')).toBe('next');
    expect(events()).toHaveLength(1);
    expect(world.engine.starts).toHaveLength(2);
    expect(await rowOf(world, run.promotionId)).toMatchObject({ previousRunId: run.runId, runOpen: true });
  });

  test('opens no run while the app is paused', async () => {
    for (const outcome of ['promoted', 'superseded'] as const) {
      world = newWorld();
      run = await begunRun(world);
      await openRun(world);
      world.paused = true;
      expect(await close(outcome)).toBe('closed');
      expect(world.engine.starts).toHaveLength(1);
      expect(await rowOf(world, run.promotionId)).toMatchObject({ runOpen: false });
      expect((await world.store.listDuePromotions()).items).toHaveLength(1);
      world.paused = false;
      await reconcilePromotion(world, run.promotionId, run.rule);
      expect(world.engine.starts).toHaveLength(2);
    }
  });

  test('is followed by the next run after an orphaned run, once the app is no longer paused', async () => {
    world.paused = true;
    world.engine.setState(run.runId, 'missing');
    await reconcilePromotion(world, run.promotionId, run.rule);
    expect(world.engine.starts).toHaveLength(1);
    world.paused = false;
    await reconcilePromotion(world, run.promotionId, run.rule);
    expect(world.engine.starts).toHaveLength(2);
  });

  test.each(['promoted', 'superseded'] as const)(
    'as %s closes the row if the rule is gone, whatever triggers came',
    async (outcome) => {
      await openRun(world);
      world.ruleList = [];
      expect(await close(outcome)).toBe('closed');
      expect(await rowOf(world, run.promotionId)).toMatchObject({
        state: 'refused',
        generation: 2,
        observedGeneration: 2,
        last: { code: 'RULE_GONE' },
      });
      expect((await world.store.listDuePromotions()).items).toEqual([]);
    },
  );

  test('of an orphaned run sends no event', async () => {
    world.engine.setState(run.runId, 'missing');
    await reconcilePromotion(world, run.promotionId, run.rule);
    const { runId } = await rowOf(world, run.promotionId);
    expect(runId).not.toBe(run.runId);
    expect(await runOf(world, run.runId)).toMatchObject({
      state: 'ended',
      result: { outcome: 'interrupted' },
    });
    // Should it wake up, it finds that the row is another's.
    expect(await close('promoted')).toBe('next');
    expect(events()).toEqual([]);
  });
});

test('after a crash at any call of the close, the run is closed with one receipt and one event id', async () => {
  await breakEverywhere(
    async () => {
      const fresh = newWorld();
      return { world: fresh, given: await begunRun(fresh) };
    },
    (ports, given) =>
      closeIn(ports, { ...given, generation: 1, result: { outcome: 'promoted', digest: 'sha256:a' }, did: [] }),
    async (fresh, given, where) => {
      const row = await rowOf(fresh, given.promotionId);
      const ids = new Set(events(fresh).map(({ id }) => id));
      expect([where, row.runOpen, row.state, receipts(fresh).length, [...ids]]).toEqual([
        where,
        false,
        'in_sync',
        1,
        [given.runId],
      ]);
    },
  );
});

describe('runs that are superseded again and again without a trigger', () => {
  /** The run that is open begins. */
  async function next(): Promise<void> {
    const { runId = '' } = await rowOf(world, run.promotionId);
    world.engine.setState(run.runId, 'ended');
    run = { ...run, runId };
    expect(await begin(world, run)).toBe(true);
  }
  const superseded = (generation = 1): Input => input('superseded', { generation });
  /** The next run comes after this pause, and not before. */
  async function pauses(pauseMs: number, generation = 1): Promise<void> {
    if (pauseMs > 0) {
      expect(await closeIn(world, superseded(generation))).toEqual({ retryAfterMs: pauseMs });
      expect(await closeIn(world, superseded(generation), pauseMs - 1)).toEqual({ retryAfterMs: 1 });
      expect(await runOf(world, run.runId)).toMatchObject({ state: 'running' });
    }
    expect(await closeIn(world, superseded(generation), pauseMs)).toBe('next');
    await next();
  }

  test('are followed at once, then after growing pauses, and then the promotion fails and the schedule tries again', async () => {
    for (const pauseMs of [0, 10_000, 60_000]) await pauses(pauseMs);
    expect(await closeIn(world, superseded())).toBe('closed');
    const row = await rowOf(world, run.promotionId);
    expect(row).toMatchObject({
      state: 'failed',
      runOpen: false,
      failures: 1,
      observedGeneration: 1,
      last: { outcome: 'failed', code: 'TAG_UNSETTLED', remedy: expect.any(String) },
    });
    // Whatever digest it has when the schedule looks: that pauses.
    expect(row.last).not.toHaveProperty('digest');
    expect(row).not.toHaveProperty('superseded');
    expect(events().map(({ type }) => type)).toEqual([
      ...Array.from({ length: 3 }, () => 'acr-promoter.promotion.superseded'),
      'acr-promoter.promotion.failed',
    ]);
  });

  test('count once if a close is repeated', async () => {
    await pauses(0);
    await closeIn(world, superseded(), 10_000);
    expect(await closeIn(world, superseded(), 10_000)).toBe('next');
    expect((await rowOf(world, run.promotionId)).superseded).toEqual({ times: 2, generation: 1 });
  });

  test('are counted anew after a trigger, which gets a run at once', async () => {
    for (const pauseMs of [0, 10_000]) await pauses(pauseMs);
    expect(await closeIn(world, superseded())).toEqual({ retryAfterMs: 60_000 });
    await openRun(world);
    expect(await closeIn(world, superseded())).toBe('next');
    await next();
    for (const pauseMs of [0, 10_000, 60_000]) await pauses(pauseMs, 2);
  });

  test('do not reset the failures in a row', async () => {
    expect(await close('failed')).toBe('closed');
    await openRun(world);
    await next();
    await pauses(0, 2);
    expect(await rowOf(world, run.promotionId)).toMatchObject({ failures: 1 });
    expect(await closeIn(world, input('failed', { generation: 2 }))).toBe('closed');
    expect(await rowOf(world, run.promotionId)).toMatchObject({ failures: 2 });
  });

  test('can be cancelled during a pause and just before it', async () => {
    await pauses(0);
    expect(await closeIn(world, superseded())).toEqual({ retryAfterMs: 10_000 });
    expect(await cancelRun(world, run.runId, { by: 'me' })).toMatchObject({ state: 'accepted' });
    expect(await closeIn(world, superseded())).toBe('closed');
    expect(await rowOf(world, run.promotionId)).toMatchObject({
      state: 'cancelled',
      runOpen: false,
      observedGeneration: 1,
    });
    expect(events().at(-1)).toMatchObject({ id: run.runId, type: 'acr-promoter.promotion.cancelled' });
  });

  test('can be cancelled at the last moment', async () => {
    const { store } = world;
    // When the close has looked, and is about to end the run's row.
    const replaceRun: typeof store.replaceRun = async (row, version) => {
      if (row.state === 'ended') await cancelRun({ ...world, store }, run.runId, { by: 'me' });
      return store.replaceRun(row, version);
    };
    expect(await closeIn({ ...world, store: { ...store, replaceRun } }, superseded())).toBe('closed');
    expect(await rowOf(world, run.promotionId)).toMatchObject({ state: 'cancelled', runOpen: false });
  });
});

describe('a run that ends without success, and the next run that finds no difference', () => {
  const digest = 'sha256:a';
  type Steps = Partial<Record<string, StepProgress['state']>>;
  /** @returns the outcome of the next run */
  async function endOfNext(ends: Outcome, steps: Steps, finds = digest): Promise<unknown> {
    await writeBegun(world, run.runId, 1, { digest });
    const at = world.now().toISOString();
    for (const [step, state = 'done'] of Object.entries(steps))
      await world.store.putProgress({ runId: run.runId, step, state, text: '', startedAt: at, updatedAt: at });
    if (ends === 'cancelled') await cancelRun(world, run.runId, { by: 'me' });
    const result = { outcome: ends, code: 'X', reason: 'y', digest };
    await close(ends, { result });
    world.nowMs += 60_000;
    if (ends === 'superseded') {
      const { runId = '' } = await rowOf(world, run.promotionId);
      run = { ...run, runId };
      await begin(world, run);
    } else run = await begunRun(world);
    const { generation } = await rowOf(world, run.promotionId);
    const unchanged = { outcome: 'unchanged', digest: finds } as const;
    expect(await close('unchanged', { generation, result: unchanged })).toBe('closed');
    expect(await rowOf(world, run.promotionId)).not.toHaveProperty('unconfirmed');
    const outcome = (await runOf(world, run.runId)).result?.outcome;
    expect(events().some(({ id, type }) => id === run.runId && type === 'acr-promoter.promotion.promoted')).toBe(
      outcome === 'promoted',
    );
    return outcome;
  }

  const { name: copy } = copyContract;
  const { name: tag } = tagDestinationContract;
  test.each([
    ['failed', { [copy]: 'failed' }],
    ['failed', { [copy]: 'done' }],
    ['failed', { [copy]: 'done', [tag]: 'failed' }],
    ['refused', { [copy]: 'done', [tag]: 'failed' }],
    ['superseded', { [copy]: 'done', [tag]: 'done' }],
    ['cancelled', { [copy]: 'working' }],
    ['cancelled', { [copy]: 'done', [tag]: 'working' }],
  ] as const)('end as %s after %j, and as promoted, with a result event', async (ends, steps) => {
    expect(await endOfNext(ends, steps)).toBe('promoted');
  });

  test('end as failed and as unchanged, without a result event, if the digest is another one', async () => {
    expect(await endOfNext('failed', { [copy]: 'done' }, 'sha256:b')).toBe('unchanged');
  });

  test.each(['failed', 'refused', 'superseded', 'cancelled'] as const)(
    'end as %s before the copy, and as unchanged, without a result event',
    async (ends) => {
      expect(await endOfNext(ends, { observe: 'done', attach: 'failed' })).toBe('unchanged');
    },
  );
});
