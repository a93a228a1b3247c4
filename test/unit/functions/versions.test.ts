import { InvocationContext } from '@azure/functions';
import { beforeEach, describe, expect, test } from '@jest/globals';
import type { OrchestrationHandler } from 'durable-functions';
import { readFileSync } from 'node:fs';
import { tendPromotion } from '../../../src/rows/reconcile.js';
import { reconcileJobs } from '../../../src/schedule/reconcile-jobs.js';
import { openJobRun } from '../../support/job-world.js';
import { newWorld, openRun, rowOf, runOf, type World } from '../../support/world.js';
import { register, type Registered } from '../../support/registered.js';
import { NON_DETERMINISTIC, replay, type Activity, type PastEvent, type Played } from '../../support/replay.js';
import { ROOT, activities, promotion } from '../../support/scripted.js';

const { versioned } = await import('../../../src/functions/orchestrations/versioned.js');
const { promote } = await import('../../../src/functions/orchestrations/promote.js');

// Histories that the orchestrations of commit a528f0d made, under the scripted driver: each is cut off after each of its turns, as by
// a deployment, and goes on with this code. Begin and close are the real steps, on rows in memory.

interface Recorded {
  orchestration: 'promote' | 'runJob';
  input: unknown;
  history: PastEvent[];
}
const file = new URL('./histories/version-1.json', import.meta.url);
const RECORDED = readFileSync(file, 'utf8');
const NAMES = Object.keys(JSON.parse(RECORDED) as object);

let world: World;
let app: Registered;
beforeEach(() => {
  world = newWorld();
  app = register(world);
});

/** What is real, and what a script answers; `done` are calls of the real ones. */
function steps(real: readonly string[]): Record<string, Activity> {
  const context = new InvocationContext({ functionName: 'activity', logHandler: () => {} });
  const scripted = {
    ...promotion().activities,
    ...activities({
      checkEvidence: () => ({ done: { state: 'passed', wanted: 1 } }),
      markWaiting: () => ({ done: 'waiting' }),
      raisePromotions: () => ({ done: [{ promotionId: 'p', wanted: 1 }] }),
      awaitPromotions: () => ({ done: [{ outcome: 'promoted' }] }),
      tagCopy: () => ({ done: { digest: ROOT.digest } }),
    }),
  };
  const handled = real.map((name): [string, Activity] => [
    name,
    (input: unknown) => app.activities.get(name)?.handler(input, context),
  ]);
  return { ...scripted, ...Object.fromEntries(handled) };
}
const REAL = ['beginRun', 'closeRun', 'beginJob', 'closeJob'];

interface Cut {
  recorded: Recorded;
  runId: string;
  promotionId?: string;
  past: PastEvent[];
}

/** The instance after so many of its turns, with the rows that it has by then; undefined: it has fewer. */
async function cutAt(name: string, turns: number): Promise<Cut | undefined> {
  const kind = (JSON.parse(RECORDED) as Record<string, Recorded>)[name]?.orchestration;
  let ids = { promotionId: 'p1', runId: 'r1' };
  if (kind === 'promote') ids = await openRun(world);
  else await openJobRun(world, { operation: 'promote', source: 'r.azurecr.io/samples/app:v1' }, 'r1');
  const text = RECORDED.replaceAll('"p1"', `"${ids.promotionId}"`).replaceAll('"r1"', `"${ids.runId}"`);
  const recorded = (JSON.parse(text) as Record<string, Recorded>)[name];
  if (recorded === undefined) throw new Error(`no history ${name}`);
  const starts = recorded.history.flatMap(({ EventType }, index) => (EventType === 12 ? [index] : []));
  if (turns >= starts.length) return undefined;
  const past = recorded.history.slice(0, starts[turns + 1]);
  const begin = kind === 'promote' ? 'beginRun' : 'beginJob';
  // The first turn asks for it; from the second on it was done.
  if (turns > 0) await steps(REAL)[begin]?.(recorded.input as never, 1);
  world.engine.setState(ids.runId, 'running');
  return { recorded, past, runId: ids.runId, ...(kind === 'promote' && { promotionId: ids.promotionId }) };
}

async function goOn(handler: unknown, { recorded, past, runId }: Cut): Promise<Played> {
  const played = await replay(handler as OrchestrationHandler, {
    input: recorded.input,
    past,
    activities: steps(REAL),
    orchestrations: Object.fromEntries(app.orchestrations) as Record<string, OrchestrationHandler>,
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
  await tendPromotion(world, promotionId, world.ruleList[0]);
  const row = await rowOf(world, promotionId);
  return row.runOpen && row.runId !== runId ? row.runId : undefined;
}

/** With the versions that this code has: a promotion's next run, or the job's second instance, does the rest. */
async function expectFollowed(cut: Cut): Promise<void> {
  const before = await runOf(world, cut.runId);
  const next = await tick(cut);
  const { orchestration, input } = world.engine.starts.find(({ id }) => id === (next ?? `${cut.runId}-again`)) ?? {};
  const follow = async (): Promise<unknown> =>
    (
      await replay(app.orchestrations.get(orchestration ?? '') as OrchestrationHandler, {
        input,
        activities: steps(REAL),
      })
    ).output;
  if (cut.promotionId === undefined) {
    // After the last turn it had closed its row.
    if (before.state === 'ended') return;
    expect(await follow()).toMatchObject({ outcome: 'promoted' });
    expect(await runOf(world, cut.runId)).toMatchObject({ state: 'ended', result: { outcome: 'promoted' } });
    return;
  }
  expect(await runOf(world, cut.runId)).toMatchObject({
    state: 'ended',
    result: { outcome: 'failed', code: 'RUN_LOST' },
  });
  expect(await follow()).toMatchObject({ outcome: 'promoted' });
  expect(await rowOf(world, cut.promotionId)).toMatchObject({ state: 'in_sync', runOpen: false });
}

describe.each(NAMES)('%s, as commit a528f0d began it', (name) => {
  // Where this fails, the sequence of an orchestration has changed: raise ORCHESTRATION_VERSION, keep the code before, and record its
  // histories (docs/decisions/orchestration-versions.md).
  test('is gone on with, wherever it was cut off', async () => {
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

  test('of a version that isn’t kept: it ends at once, and the next tick sees to it', async () => {
    await eachCut(name, async (cut) => {
      const other = {
        ...cut,
        recorded: { ...cut.recorded, input: { ...(cut.recorded.input as object), version: 99 } },
      };
      expect((await goOn(app.orchestrations.get(cut.recorded.orchestration), other)).error).toMatch(/not 99$/);
      await expectFollowed(cut);
    });
  });
});

test('a sequence that was changed under its instances: they are broken off, and followed', async () => {
  const changed: typeof promote = function* (context) {
    yield context.df.callActivity('somethingNew', {});
    return yield* promote(context);
  };
  await eachCut('a promotion', async (cut, turns) => {
    // The first turn has asked for nothing that would be missed.
    if (turns === 0) return;
    expect((await goOn(versioned(changed), cut)).error).toBe(NON_DETERMINISTIC);
    await expectFollowed(cut);
  });
});

test('a version that is kept goes on with its own code', async () => {
  const own = function* (context: Parameters<typeof promote>[0]): ReturnType<typeof promote> {
    yield context.df.createTimer(new Date(context.df.currentUtcDateTime.getTime() + 1_000));
    return null;
  };
  const played = await replay(versioned(promote, { 7: own }), { input: { version: 7 }, activities: {} });
  expect(played).toMatchObject({ output: null, error: undefined, timersMs: [1_000], calls: [] });
});
