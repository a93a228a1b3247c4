import { describe, expect, test } from '@jest/globals';
import { copyParts, copyPlanned } from '../../../src/functions/orchestrations/copy-graph.js';
import { waitingUntil } from '../../../src/functions/orchestrations/step.js';
import { promote } from '../../../src/functions/orchestrations/promote.js';
import { runJob } from '../../../src/functions/orchestrations/run-job.js';
import type { OrchestrationContext, Task } from 'durable-functions';
import { replay, type Played, type Script } from '../../support/replay.js';
import { OWNER, ROOT, activities, promotion, type Answers } from '../../support/scripted.js';

// What is too much for one activity: waves of parts, in sub-orchestrations of a bounded number of calls.

const FROM = { registry: 'r.azurecr.io', repository: 'samples/app' };
const TO = { registry: 'other.azurecr.io', repository: 'staging/app' };
const FOLDER = 'plans/r1/0123456789abcdef';
const GIVE_UP_AT_MS = 1_800_000_000_000;
const DONE = { more: false, copied: 2, existed: 0, mounted: 1, bytes: 100 };

const planned = (waves: number[]): Answers => ({
  planCopy: () => ({
    done: {
      state: 'planned',
      plan: 'plans/r1.json',
      root: ROOT,
      manifests: 4,
      blobs: 5,
      bytes: 600,
      parts: { folder: FOLDER, waves },
    },
  }),
});

async function copy(waves: number[], answers: Answers = {}, more: Partial<Script> = {}): Promise<Played> {
  function* orchestration(context: OrchestrationContext): Generator<Task, unknown, unknown> {
    const { parts } = context.df.getInput<{ parts: { folder: string; waves: number[] } }>();
    return yield* copyPlanned(
      waitingUntil(context, GIVE_UP_AT_MS),
      { parts },
      { runId: 'r1', plan: 'plans/r1.json', source: FROM, destination: TO },
    );
  }
  return replay(orchestration, {
    input: { parts: { folder: FOLDER, waves } },
    activities: activities({ copyPart: () => ({ done: DONE }), ...answers }),
    orchestrations: { copyParts },
    ...more,
  });
}
const partsOf = (played: Played): string[] =>
  played.calls.map(({ input }) => (input as { part: string }).part.slice(FOLDER.length + 1));

describe('a copy in parts', () => {
  test.each(['first begun', 'last begun'] as const)('goes wave by wave, and adds up (%s)', async (ends) => {
    const played = await copy([2, 12, 1], {}, { ends });
    expect(played.error).toBeUndefined();
    expect(played.output).toEqual({ copied: 30, existed: 0, mounted: 15, bytes: 1500 });
    expect(played.subs.map(({ name, instanceId, calls }) => [name, instanceId, calls])).toEqual([
      ['copyParts', 'r1-copy-0-0', 2],
      ['copyParts', 'r1-copy-1-0', 12],
      ['copyParts', 'r1-copy-2-0', 1],
    ]);
    const parts = partsOf(played);
    expect(parts.slice(0, 2).sort()).toEqual(['0-0.json', '0-1.json']);
    expect(new Set(parts.slice(2, 14)).size).toBe(12);
    expect(parts.at(-1)).toBe('2-0.json');
    expect(played.calls[0]?.input).toMatchObject({ runId: 'r1', source: FROM, destination: TO });
    const labels = played.calls.map(({ input }) => (input as { label: string }).label);
    expect(new Set(labels).size).toBe(15);
    expect(labels).toContain('2.12');
  });

  test('history stays small: names and numbers, at most a hundred calls in one orchestration', async () => {
    const played = await copy([260], {}, { twiceEvery: 50 });
    expect(played.subs.map(({ calls }) => calls)).toEqual([100, 100, 60]);
    expect(new Set(partsOf(played)).size).toBe(260);
    for (const { input, output } of played.subs) {
      expect(input).toMatchObject({ giveUpAtMs: GIVE_UP_AT_MS });
      expect(JSON.stringify(input).length).toBeLessThan(1000);
      expect(JSON.stringify(output).length).toBeLessThan(1000);
    }
    for (const { input } of played.calls) expect(JSON.stringify(input).length).toBeLessThan(400);
  });

  test('a part that asks for more is called again, and the others go on meanwhile', async () => {
    const calls = new Map<string, number>();
    const played = await copy([11], {
      copyPart: ({ part }) => {
        const call = (calls.get(part) ?? 0) + 1;
        calls.set(part, call);
        return { done: { ...DONE, more: part.endsWith('/0-3.json') && call < 30 } };
      },
    });
    expect(played.error).toBeUndefined();
    expect(calls.get(`${FOLDER}/0-3.json`)).toBe(30);
    expect(played.calls).toHaveLength(40);
    expect(played.output).toMatchObject({ bytes: 4000 });
    // The eleventh part had its turn in the second round.
    expect(partsOf(played).indexOf('0-10.json')).toBeLessThan(13);
  });

  test('a blob that takes more calls than one orchestration has goes on in the next', async () => {
    const played = await copy(
      [1],
      { copyPart: (_input, call) => ({ done: { ...DONE, more: call < 130 } }) },
      { twiceEvery: 20 },
    );
    expect(played.subs.map(({ calls, output }) => [calls, (output as { done: { open: number[] } }).done.open])).toEqual(
      [
        [100, [0]],
        [30, []],
      ],
    );
  });

  test('a wave that never ends is given up', async () => {
    function* endless(context: OrchestrationContext): Generator<Task, unknown, unknown> {
      yield context.df.createTimer(context.df.currentUtcDateTime);
      return { done: { ...DONE, open: context.df.getInput<{ parts: number[] }>().parts } };
    }
    const played = await copy([1], {}, { orchestrations: { copyParts: endless } });
    expect(played.error).toContain('has not come to its end');
    expect(played.subs).toHaveLength(100);
  });

  test('what fails for good in a part is told by the whole, with code and remedy', async () => {
    const played = await copy([3, 1], {
      copyPart: ({ part }) =>
        part.endsWith('/0-1.json')
          ? { failed: { code: 'DIGEST_INVALID', message: 'no', refused: false, remedy: 'look' } }
          : { done: DONE },
    });
    expect(played.error).toContain('no');
    expect(played.subs).toHaveLength(1);
    expect(played.subs[0]?.output).toEqual({
      failed: { code: 'DIGEST_INVALID', message: 'no', refused: false, remedy: 'look' },
    });
  });

  test('an attempt that fails in passing is made again', async () => {
    const played = await copy([1], {
      copyPart: (_input, call) => {
        if (call === 1) throw new Error('CONNECT_FAILED: it is down');
        return { done: DONE };
      },
    });
    expect(played.error).toBeUndefined();
    expect(played.calls).toHaveLength(2);
  });
});

describe('a promotion', () => {
  test('of a large graph: copied in parts, then asked for and tagged', async () => {
    const { activities: script, closed } = promotion(planned([1, 3]));
    const played = await replay(promote, { input: OWNER, activities: script, orchestrations: { copyParts } });
    const names = played.calls.map(({ name }) => name);
    expect(names.slice(names.indexOf('planCopy'))).toEqual([
      'planCopy',
      ...Array.from({ length: 4 }, () => 'copyPart'),
      'verifyArrival',
      'tagDestination',
      'closeRun',
    ]);
    expect(names).not.toContain('copyGraph');
    expect(closed[0]).toMatchObject({ result: { outcome: 'promoted' } });
    expect(closed[0]?.did).toContain('copied 8, mounted 4, 0 were there');
  });

  test('a part that fails for good: the run says so', async () => {
    const failed = { code: 'BLOB_UNKNOWN', message: 'gone', refused: false };
    const { activities: script, closed } = promotion({ ...planned([2]), copyPart: () => ({ failed }) });
    await replay(promote, { input: OWNER, activities: script, orchestrations: { copyParts } });
    expect(closed[0]?.result).toMatchObject({ outcome: 'failed', code: 'BLOB_UNKNOWN', reason: 'gone' });
  });
});

test('a copy job of a large graph goes the same way', async () => {
  const played = await replay(runJob, {
    input: { runId: 'r1' },
    activities: activities({
      beginJob: () => ({
        done: { operation: 'copy', source: FROM, root: 'v1', recursive: true, destination: { ...TO, tag: 'v1' } },
      }),
      ...planned([2]),
      copyPart: () => ({ done: DONE }),
      verifyArrival: () => ({ done: { repaired: 0 } }),
      tagCopy: () => ({ done: { digest: ROOT.digest } }),
      closeJob: () => ({ done: null }),
    }),
    orchestrations: { copyParts },
  });
  expect(played.output).toEqual({ outcome: 'completed', digest: ROOT.digest });
  expect(played.calls.filter(({ name }) => name === 'copyPart')).toHaveLength(2);
});
