import { beforeEach, describe, expect, test } from '@jest/globals';
import type { Outcome } from '../../../src/runs/rows.js';
import { tendPromotion } from '../../../src/runs/promotion-runs.js';
import { beginRunStep } from '../../../src/steps/begin-run.js';
import { closeRunStep } from '../../../src/steps/close-run.js';
import type { InputOf, closeRunContract } from '../../../src/steps/contracts.js';
import { breakEverywhere } from './breaking.js';
import { DESTINATION, SOURCE, newWorld, openRun, rowOf, runOf, type World } from './world.js';

type Input = InputOf<typeof closeRunContract>;

let world: World;
let run: Awaited<ReturnType<typeof openRun>>;

/** A run that the engine has begun. */
async function begunRun(in_: World): Promise<Awaited<ReturnType<typeof openRun>>> {
  const opened = await openRun(in_);
  in_.engine.setState(opened.runId, 'running');
  await beginRunStep(in_, opened);
  return opened;
}

beforeEach(async () => {
  world = newWorld();
  run = await begunRun(world);
});

function input(outcome: Outcome, changes: Partial<Input> = {}): Input {
  const result = { outcome, digest: 'sha256:a' };
  return { ...run, wanted: 1, result, did: ['copied 1, mounted 1, 0 were there'], ...changes };
}
const close = (outcome: Outcome, changes: Partial<Input> = {}): Promise<string> =>
  closeRunStep(world, input(outcome, changes));
const events = (of = world): Record<string, unknown>[] =>
  of.queues.sent.map(({ text }) => JSON.parse(text) as Record<string, unknown>);
const receipts = (of = world): string[] => [...of.documents.kept.keys()].filter((name) => name.startsWith('receipts/'));

describe('a run begins', () => {
  test('with the rule as it stood when it was opened, and what is wanted', async () => {
    expect(await beginRunStep(world, run)).toEqual({
      owned: true,
      wanted: 1,
      rule: run.rule,
      source: SOURCE,
      destination: DESTINATION,
    });
    expect(await runOf(world, run.runId)).toMatchObject({ state: 'running' });
    await openRun(world);
    expect(await beginRunStep(world, run)).toMatchObject({ wanted: 2 });
  });

  test('not where the row is another run’s, or there is no such run', async () => {
    expect(await beginRunStep(world, { ...run, runId: 'nobody' })).toEqual({ owned: false });
    await close('promoted');
    expect(await beginRunStep(world, run)).toEqual({ owned: false });
  });
});

describe('who is told', () => {
  test.each(['promoted', 'observed', 'superseded', 'refused', 'failed', 'cancelled'] as const)(
    '%s: one CloudEvent and one receipt',
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

  test('unchanged: nobody', async () => {
    const outcome = 'unchanged';
    await close(outcome);
    expect(events()).toEqual([]);
    expect(receipts()).toEqual([]);
    expect(await runOf(world, run.runId)).toMatchObject({ state: 'ended', result: { outcome } });
  });

  test('closed twice: told once', async () => {
    await close('promoted');
    expect(await close('promoted')).toBe('closed');
    expect(events()).toHaveLength(1);
  });

  test('a run whose row it is not tells nobody', async () => {
    expect(await closeRunStep(world, { ...input('promoted'), runId: 'another' })).toBe('gone');
    expect(events()).toEqual([]);
  });

  test('a message has its bounds, the receipt has it all', async () => {
    const did = Array.from({ length: 400 }, (_, index) => `attached signature ${index} ${'x'.repeat(200)}`);
    const result = { outcome: 'failed', code: 'X', reason: 'y'.repeat(60_000), remedy: 'z' } as const;
    expect(await close('failed', { did, result })).toBe('closed');
    const [event] = events();
    expect(event).toMatchObject({ id: run.runId, data: { outcome: 'failed', code: 'X' } });
    const receipt = Buffer.from(world.documents.kept.get(`receipts/${run.runId}.json`) ?? '').toString();
    expect((JSON.parse(receipt) as { data: { did: string[] } }).data.did).toEqual(did);
  });
});

describe('what comes next', () => {
  test('something was wanted meanwhile: told, and the next run opened', async () => {
    await openRun(world);
    expect(await close('promoted')).toBe('next');
    expect(events()).toHaveLength(1);
    expect(world.engine.starts).toHaveLength(2);
    expect(await rowOf(world, run.promotionId)).toMatchObject({ previousRunId: run.runId, runOpen: true });
  });

  test('paused: no next run, until that is lifted', async () => {
    for (const outcome of ['promoted', 'superseded'] as const) {
      world = newWorld();
      run = await begunRun(world);
      await openRun(world);
      world.paused = true;
      expect(await close(outcome)).toBe('closed');
      expect(world.engine.starts).toHaveLength(1);
      expect(await rowOf(world, run.promotionId)).toMatchObject({ runOpen: false });
      expect((await world.store.listOpenPromotions()).items).toHaveLength(1);
      world.paused = false;
      await tendPromotion(world, run.promotionId, run.rule);
      expect(world.engine.starts).toHaveLength(2);
    }
  });

  test('paused: a run that was lost is followed when that is lifted', async () => {
    world.paused = true;
    world.engine.setState(run.runId, 'missing');
    await tendPromotion(world, run.promotionId, run.rule);
    expect(world.engine.starts).toHaveLength(1);
    world.paused = false;
    await tendPromotion(world, run.promotionId, run.rule);
    expect(world.engine.starts).toHaveLength(2);
  });

  test.each(['promoted', 'superseded'] as const)(
    '%s, and the rule is gone: the row is at rest, whatever was wanted',
    async (outcome) => {
      await openRun(world);
      world.ruleList = [];
      expect(await close(outcome)).toBe('closed');
      expect(await rowOf(world, run.promotionId)).toMatchObject({
        state: 'refused',
        wanted: 2,
        answered: 2,
        last: { code: 'RULE_GONE' },
      });
      expect((await world.store.listOpenPromotions()).items).toEqual([]);
    },
  );

  test('a run that was lost is ended, and says so', async () => {
    world.engine.setState(run.runId, 'missing');
    await tendPromotion(world, run.promotionId, run.rule);
    const { runId } = await rowOf(world, run.promotionId);
    expect(runId).not.toBe(run.runId);
    expect(await runOf(world, run.runId)).toMatchObject({
      state: 'ended',
      result: { outcome: 'failed', code: 'RUN_LOST' },
    });
    // Should it wake up, it finds that the row is another's; the outcome that is told is the row's.
    expect(await close('promoted')).toBe('next');
    expect(events()).toMatchObject([
      { id: run.runId, type: 'acr-promoter.promotion.failed', data: { code: 'RUN_LOST' } },
    ]);
  });
});

test('a crash at any call of the close, and again: closed, told by one receipt and one id', async () => {
  await breakEverywhere(
    async () => {
      const fresh = newWorld();
      return { world: fresh, given: await begunRun(fresh) };
    },
    (ports, given) =>
      closeRunStep(ports, { ...given, wanted: 1, result: { outcome: 'promoted', digest: 'sha256:a' }, did: [] }),
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
