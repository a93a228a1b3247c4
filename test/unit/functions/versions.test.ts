import { InvocationContext } from '@azure/functions';
import { beforeEach, describe, expect, test } from '@jest/globals';
import type { OrchestrationHandler } from 'durable-functions';
import { readFileSync, writeFileSync } from 'node:fs';
import { reconcilePromotion } from '../../../src/rows/reconcile.js';
import { beginRun } from '../../../src/promotions/observe.js';
import { reconcileJobs } from '../../support/reconciled.js';
import { openJobRun } from '../../support/job-world.js';
import { REGISTRY, callOf, newWorld, openRun, rowOf, runOf, type World } from '../../support/world.js';
import { register, type Registered } from '../../support/registered.js';
import { NON_DETERMINISTIC, replay, type Activity, type PastEvent, type Played } from '../../support/replay.js';
import { GATED, KEY, ROOT, activities, promotion, type Answers } from '../../support/scripted.js';
import { versioned, promoteDurably } from '../../../src/functions/durable-driver.js';

// Histories that the orchestrations of version 2 have made, under the scripted driver: each is cut off after each of its turns, as by
// a deployment, and goes on with this code. What takes and closes rows are the real steps, on rows in memory.

interface Recorded {
  orchestration: 'promote' | 'runJob';
  input: unknown;
  history: PastEvent[];
}
const file = new URL('./histories/version-2.json', import.meta.url);

const COPIED = { done: { state: 'copied', root: ROOT, copied: 1, existed: 0, mounted: 0, bytes: 1 } } as const;
const trouble = { code: 'TOOMANYREQUESTS', message: 'slowly' };
/** A step that goes on for some calls. */
const afterCalls =
  <T>(done: T) =>
  (_input: unknown, call: number): T | { retryAfterMs: number } =>
    call < 4 ? { retryAfterMs: 0 } : done;
const JOB: Answers = {
  copy: () => COPIED,
  verifyArrival: () => ({ done: { repaired: 0 } }),
  tagCopy: () => ({ done: { digest: ROOT.digest } }),
  closeJob: () => ({ done: null }),
};
/** What was recorded, and how it is recorded anew if the version rises: RECORD=1, and another file. */
const RECORDINGS: Record<string, { orchestration: Recorded['orchestration']; answers: Answers }> = {
  'a promotion': { orchestration: 'promote', answers: {} },
  'a promotion that waits for evidence': {
    orchestration: 'promote',
    answers: {
      observe: () => ({ done: GATED }),
      checkEvidence: (_input, call) =>
        call < 4
          ? { done: { state: 'closed', generation: 1, reasons: ['none'], evidence: 'e' } }
          : { done: { state: 'passed', generation: 1 } },
      markWaiting: () => ({ done: 'waiting' }),
    },
  },
  'a promotion that backs off, and one step of which failed': {
    orchestration: 'promote',
    answers: {
      attach: (_input, call) =>
        call < 3 ? { retryAfterMs: 2_000, event: `notify-${call}` } : { done: { did: ['attached'] } },
      copy: (_input, call) => {
        if (call === 1) throw new Error('CONNECTION_CLOSED: the worker died');
        return call === 2 ? { retryAfterMs: 30_000, trouble, event: 'notify-3' } : COPIED;
      },
    },
  },
  'a promotion whose long steps take several calls': {
    orchestration: 'promote',
    answers: {
      observe: afterCalls({ done: { ...GATED, gate: 'passed' as const } }),
      attach: afterCalls({ done: { did: ['attached'] } }),
      copy: afterCalls(COPIED),
      verifyArrival: afterCalls({ done: { repaired: 0 } }),
    },
  },
  'a copy job': { orchestration: 'runJob', answers: { ...JOB, beginJob: () => ({ done: { operation: 'copy' } }) } },
  'a copy job of several calls': {
    orchestration: 'runJob',
    answers: { ...JOB, beginJob: () => ({ done: { operation: 'copy' } }), copy: afterCalls(COPIED) },
  },
  'a promote job': {
    orchestration: 'runJob',
    answers: {
      ...JOB,
      beginJob: () => ({ done: { operation: 'promote', source: { registry: REGISTRY, repository: 'a', tag: 'v1' } } }),
      incrementPromotions: () => ({ done: [{ promotionId: 'p1', generation: 1 }] }),
      awaitPromotions: (_input, call) =>
        call < 3 ? { retryAfterMs: 1_000, event: `notify-${call}` } : { done: [{ outcome: 'promoted' }] },
    },
  },
};
const NAMES = Object.keys(RECORDINGS);

let world: World;
let app: Registered;
beforeEach(() => {
  world = newWorld();
  app = register(world);
});

if (process.env.RECORD === '1') {
  test('the histories are recorded', async () => {
    const recorded: Record<string, Recorded> = {};
    for (const [name, { orchestration, answers }] of Object.entries(RECORDINGS)) {
      const input = orchestration === 'promote' ? { ...KEY, deadlineMs: 86_400_000 } : { runId: 'r1' };
      const { history, error } = await replay(app.orchestrations.get(orchestration) as OrchestrationHandler, {
        input,
        activities: orchestration === 'promote' ? promotion(answers).activities : activities(answers),
        // Every other wait ends by its time.
        event: ([waited]) => (/[13]$/.test(waited ?? '') ? waited : undefined),
      });
      expect(error).toBeUndefined();
      recorded[name] = { orchestration, input: { version: 2, ...input }, history };
    }
    writeFileSync(file, `${JSON.stringify(recorded, null, 1)}\n`);
  });
}

const RECORDED = readFileSync(file, 'utf8');

/** What is real, and what a script answers. */
function steps(): Record<string, Activity> {
  const context = new InvocationContext({ functionName: 'activity', logHandler: () => {} });
  const real = (name: string): Activity => {
    return (input: unknown) => app.activities.get(name)?.handler(input, context);
  };
  const scripted = {
    ...promotion().activities,
    ...activities({
      checkEvidence: () => ({ done: { state: 'passed', generation: 1 } }),
      markWaiting: () => ({ done: 'waiting' }),
      incrementPromotions: () => ({ done: [{ promotionId: 'p', generation: 1 }] }),
      awaitPromotions: () => ({ done: [{ outcome: 'promoted' }] }),
      tagCopy: () => ({ done: { digest: ROOT.digest } }),
    }),
  };
  const observe = scripted['observe'];
  return {
    ...scripted,
    async observe(input: { promotionId: string; runId: string }, call: number) {
      await takeRow(input);
      return observe?.(input as never, call);
    },
    closeRun: real('closeRun'),
    beginJob: real('beginJob'),
    closeJob: real('closeJob'),
  };
}

/** As the first step of a promotion does it. */
async function takeRow(ids: { promotionId: string; runId: string }): Promise<void> {
  await beginRun(world, ids, await callOf(world, ids.runId));
}

interface Cut {
  recorded: Recorded;
  runId: string;
  promotionId?: string;
  past: PastEvent[];
}

/** The instance after so many of its turns, with the rows that it has by then; undefined: it has fewer. */
async function cutAt(name: string, turns: number): Promise<Cut | undefined> {
  const isPromotion = RECORDINGS[name]?.orchestration === 'promote';
  let ids = { promotionId: 'p1', runId: 'r1' };
  if (isPromotion) ids = await openRun(world);
  else if (name.startsWith('a copy')) {
    const source = `${REGISTRY}/samples/app:v1`;
    await openJobRun(world, { operation: 'copy', source, destination: `${REGISTRY}/other/app:v1` }, 'r1');
  } else await openJobRun(world, { operation: 'promote', source: `${REGISTRY}/samples/app:v1` }, 'r1');
  const text = RECORDED.replaceAll('"p1"', `"${ids.promotionId}"`).replaceAll('"r1"', `"${ids.runId}"`);
  const recorded = (JSON.parse(text) as Record<string, Recorded>)[name];
  if (recorded === undefined) throw new Error(`no history ${name}`);
  const starts = recorded.history.flatMap(({ EventType }, index) => (EventType === 12 ? [index] : []));
  if (turns >= starts.length) return undefined;
  const past = recorded.history.slice(0, starts[turns + 1]);
  // The first turn asks for it; from the second on it was done.
  if (turns > 0 && isPromotion) await takeRow(ids);
  else if (turns > 0) await steps()['beginJob']?.({ runId: ids.runId } as never, 1);
  world.engine.setState(ids.runId, 'running');
  return { recorded, past, runId: ids.runId, ...(isPromotion && { promotionId: ids.promotionId }) };
}

async function goOn(handler: unknown, { recorded, past, runId }: Cut): Promise<Played> {
  const played = await replay(handler as OrchestrationHandler, {
    input: recorded.input,
    past,
    activities: steps(),
    event: ([waited]) => waited,
  });
  world.engine.setState(runId, 'ended');
  return played;
}

/** Every cut of a history, each in a world of its own. */
async function eachCut(name: string, look: (cut: Cut, turns: number) => Promise<void>): Promise<number> {
  for (let turns = 0; ; turns += 1) {
    world = newWorld();
    app = register(world);
    const cut = await cutAt(name, turns);
    if (cut === undefined) return turns;
    await look(cut, turns);
  }
}

/** What the schedule does with the rows; @returns the run that follows, where one does. */
async function tick({ promotionId, runId }: Cut): Promise<string | undefined> {
  world.nowMs += 20 * 60_000;
  await reconcileJobs(world);
  if (promotionId === undefined) return undefined;
  await reconcilePromotion(world, promotionId, world.ruleList[0]);
  const row = await rowOf(world, promotionId);
  return row.runOpen && row.runId !== runId ? row.runId : undefined;
}

/** Its instance has ended without a word: a promotion's next run, or the job's second instance, does the rest. */
async function expectFollowed(cut: Cut): Promise<void> {
  const before = await runOf(world, cut.runId);
  const next = await tick(cut);
  const { orchestration, input } = world.engine.starts.find(({ id }) => id === (next ?? `${cut.runId}-again`)) ?? {};
  const handler = app.orchestrations.get(orchestration ?? '') as OrchestrationHandler;
  const follow = async (): Promise<unknown> => (await replay(handler, { input, activities: steps() })).output;
  if (cut.promotionId === undefined) {
    // After the last turn it had closed its row.
    if (before.state === 'ended') return;
    await follow();
    expect(await runOf(world, cut.runId)).toMatchObject({
      state: 'ended',
      result: { outcome: expect.stringMatching(/promoted|completed/) },
    });
    return;
  }
  expect(await runOf(world, cut.runId)).toMatchObject({ state: 'ended', result: { outcome: 'interrupted' } });
  expect(await follow()).toMatchObject({ outcome: 'promoted' });
  expect(await rowOf(world, cut.promotionId)).toMatchObject({ state: 'in_sync', runOpen: false });
}

describe.each(NAMES)('%s, as recorded', (name) => {
  // Where this fails, the sequence of an orchestration has changed: raise ORCHESTRATION_VERSION, keep the code before, and record its
  // histories (docs/decisions/orchestration-versions.md).
  test('continues from every position of its history', async () => {
    const cuts = await eachCut(name, async (cut) => {
      const { output, error } = await goOn(app.orchestrations.get(cut.recorded.orchestration), cut);
      expect(error).toBeUndefined();
      expect(output).toMatchObject({ outcome: expect.stringMatching(/^(promoted|completed)$/) });
      // After the last turn: the row was closed by a step that this world has not seen.
      if (cut.past.length === cut.recorded.history.length) return;
      expect(await runOf(world, cut.runId)).toMatchObject({ state: 'ended' });
      if (cut.promotionId === undefined) return;
      expect(await rowOf(world, cut.promotionId)).toMatchObject({ state: 'in_sync', runOpen: false });
    });
    expect(cuts).toBeGreaterThan(5);
  });

  test('of an unknown version ends at once, and the next tick handles its row', async () => {
    await eachCut(name, async (cut) => {
      const other = {
        ...cut,
        recorded: { ...cut.recorded, input: { ...(cut.recorded.input as object), version: 99 } },
      };
      expect((await goOn(app.orchestrations.get(cut.recorded.orchestration), other)).error).toMatch(
        /the orchestration has version 99; the app runs version \d+/,
      );
      await expectFollowed(cut);
    });
  });
});

test('an instance without a version fails', async () => {
  const cut = await cutAt('a promotion', 2);
  if (cut === undefined) throw new Error('no cut');
  const { version: _none, ...input } = cut.recorded.input as { version: number };
  const { error } = await goOn(app.orchestrations.get('promote'), { ...cut, recorded: { ...cut.recorded, input } });
  expect(error).toMatch(/the orchestration has version undefined; the app runs version \d+/);
  await expectFollowed(cut);
});

test('an instance whose sequence was changed fails and is followed by the next run', async () => {
  const changed: typeof promoteDurably = function* (context) {
    yield context.df.callActivity('somethingNew', {});
    return yield* promoteDurably(context);
  };
  await eachCut('a promotion', async (cut, turns) => {
    // The first turn has asked for nothing that would be missed.
    if (turns === 0) return;
    expect((await goOn(versioned(changed), cut)).error).toBe(NON_DETERMINISTIC);
    await expectFollowed(cut);
  });
});

test('a version that is kept continues with its own code', async () => {
  const own: typeof promoteDurably = function* (context) {
    yield context.df.createTimer(new Date(context.df.currentUtcDateTime.getTime() + 1_000));
    return null;
  };
  const played = await replay(versioned(promoteDurably, { 7: own }), { input: { version: 7 }, activities: {} });
  expect(played).toMatchObject({ output: null, error: undefined, timersMs: [1_000], calls: [] });
});
