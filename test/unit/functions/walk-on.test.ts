import { describe, expect, test } from '@jest/globals';
import type { OrchestrationContext, Task } from 'durable-functions';
import { promote } from '../../../src/functions/orchestrations/promote.js';
import { runJob } from '../../../src/functions/orchestrations/run-job.js';
import { walkOn } from '../../../src/functions/orchestrations/walk-on.js';
import { rule } from '../../support/rules.fixture.js';
import { replay, type Played, type Script } from '../../support/replay.js';
import { OBSERVED, OWNER, ROOT, activities, begun, digest, promotion, type Answers } from '../../support/scripted.js';

// What asks for all of a graph: one call as a rule; a large one goes on in sub-orchestrations of a bounded number of calls.

const more = (stretch: number) => ({ state: 'more', cursor: { stretch, since: 1_767_225_600_000 } }) as const;
const planned = { state: 'planned', plan: 'plans/r1.json', root: ROOT, manifests: 4, blobs: 5, bytes: 600 } as const;

/** A promotion whose steps say so often that there is more. */
function lasting(observe: number, planCopy: number, verifyArrival: number): Answers {
  return {
    observe: (_input, call) => ({ done: call <= observe ? more(call) : OBSERVED }),
    planCopy: (_input, call) => ({ done: call <= planCopy ? more(call) : planned }),
    verifyArrival: (_input, call) => ({ done: call <= verifyArrival ? more(call) : { repaired: 1 } }),
  };
}

async function play(answers: Answers, script: Partial<Script> = {}): Promise<Played & { closed: unknown[] }> {
  const { activities: steps, closed } = promotion(answers);
  const played = await replay(promote, { input: OWNER, activities: steps, orchestrations: { walkOn }, ...script });
  return { ...played, closed };
}
const inputsOf = (played: Played, step: string) =>
  played.calls.filter(({ name }) => name === step).map(({ input }) => input as { cursor?: unknown; rule?: unknown });

describe('a promotion of a large graph', () => {
  test('goes on where each call ended, in sub-orchestrations named after the run', async () => {
    const played = await play(lasting(2, 3, 1));
    expect(played.output).toEqual({ outcome: 'promoted', digest: ROOT.digest });
    expect(played.subs.map(({ name, instanceId, calls }) => [name, instanceId, calls])).toEqual([
      ['walkOn', 'r1-observe-0', 2],
      ['walkOn', 'r1-planCopy-0', 3],
      ['walkOn', 'r1-verifyArrival-0', 1],
    ]);
    for (const [step, calls] of [
      ['observe', 2],
      ['planCopy', 3],
      ['verifyArrival', 1],
    ] as const) {
      const [first, ...others] = inputsOf(played, step);
      expect(first?.cursor).toBeUndefined();
      expect(others.map(({ cursor }) => cursor)).toEqual(
        Array.from({ length: calls }, (_, index) => more(index + 1).cursor),
      );
    }
    expect(played.closed).toMatchObject([{ did: expect.arrayContaining(['put 1 referrers again']) }]);
  });

  test('which is found to be as it should, or is observed only, goes no further', async () => {
    const same = { ...OBSERVED, differences: [] } as typeof OBSERVED;
    const played = await play({ observe: (_input, call) => ({ done: call < 3 ? more(call) : same }) });
    expect(played.output).toMatchObject({ outcome: 'unchanged' });
    const observed = await play({ ...lasting(2, 0, 0), beginRun: () => begun(rule({ mode: 'observe' })) });
    expect(observed.output).toMatchObject({ outcome: 'observed' });
  });

  test('history stays small: at most fifty calls in each, and no trust store but in the first', async () => {
    const gated = rule({ verify: { signatures: [{ format: 'notary', trustStore: 'x'.repeat(20_000) }] } });
    const passed = { checkEvidence: () => ({ done: { state: 'passed', wanted: 1 } as const }) };
    const played = await play({ ...lasting(120, 0, 0), ...passed, beginRun: () => begun(gated) }, { twiceEvery: 20 });
    expect(played.output).toMatchObject({ outcome: 'promoted' });
    expect(played.subs.map(({ calls }) => calls)).toEqual([50, 50, 20]);
    for (const { input } of played.subs) expect(JSON.stringify(input).length).toBeLessThan(2_000);
    const [first, ...others] = inputsOf(played, 'observe');
    expect(JSON.stringify(first).length).toBeGreaterThan(20_000);
    for (const input of others) expect(JSON.stringify(input).length).toBeLessThan(2_000);
  });

  test('one that never comes to its end is given up', async () => {
    function* endless(context: OrchestrationContext): Generator<Task, unknown, unknown> {
      yield context.df.createTimer(context.df.currentUtcDateTime);
      return { done: more(1) };
    }
    const played = await play(lasting(1, 0, 0), { orchestrations: { walkOn: endless } });
    expect(played.output).toMatchObject({ outcome: 'failed', code: 'WALK_TOO_LONG' });
    expect(played.subs).toHaveLength(20);
  });

  test.each([
    ['RUN_CANCELLED', false, 'cancelled'],
    ['SUPERSEDED', false, 'superseded'],
    ['DENIED', false, 'failed'],
    ['DESTINATION_TAKEN', true, 'refused'],
  ])('%s in the middle: the run ends as it would have at once', async (code, refused, outcome) => {
    const failed = { code, message: 'no', refused };
    const played = await play({
      ...lasting(0, 4, 0),
      planCopy: (_input, call) => (call < 3 ? { done: more(call) } : { failed }),
    });
    expect(played.output).toMatchObject({ outcome });
    expect(played.calls.at(-1)?.name).toBe('closeRun');
  });

  test('a tag that moves on in the middle: superseded', async () => {
    const played = await play({
      planCopy: (_input, call) => ({ done: call < 3 ? more(call) : { state: 'superseded' } }),
    });
    expect(played.output).toMatchObject({ outcome: 'superseded' });
  });

  test('trouble in the middle is waited for there', async () => {
    let tries = 0;
    const played = await play({
      ...lasting(0, 5, 0),
      planCopy: (_input, call) => {
        if (call === 3 && (tries += 1) === 1)
          return { later: 30_000, trouble: { code: 'TOOMANYREQUESTS', message: 'slowly' } };
        return { done: call < 5 ? more(call) : planned };
      },
    });
    expect(played.output).toMatchObject({ outcome: 'promoted' });
    expect(played.timersMs.map((ms) => Math.round(ms / 1000))).toContain(30);
    expect(inputsOf(played, 'planCopy').filter((input) => 'again' in input)).toHaveLength(1);
  });
});

test('a small one is one call each, and no sub-orchestration', async () => {
  const played = await play({});
  expect(played.subs).toEqual([]);
  for (const step of ['observe', 'planCopy', 'verifyArrival']) expect(inputsOf(played, step)).toHaveLength(1);
});

test('a copy job goes the same way', async () => {
  const from = { registry: 'r.azurecr.io', repository: 'samples/app' };
  const played = await replay(runJob, {
    input: { runId: 'r1' },
    activities: activities({
      ...lasting(0, 2, 2),
      beginJob: () => ({
        done: { operation: 'copy', source: from, root: 'v1', recursive: true, destination: { ...from, tag: 'v2' } },
      }),
      copyGraph: () => ({ done: { copied: 4, existed: 1, mounted: 5, bytes: 600 } }),
      tagCopy: () => ({ done: { digest: digest('1') } }),
      closeJob: () => ({ done: null }),
    }),
    orchestrations: { walkOn },
  });
  expect(played.output).toMatchObject({ outcome: 'completed', digest: ROOT.digest });
  expect(played.subs.map(({ calls }) => calls)).toEqual([2, 2]);
});
