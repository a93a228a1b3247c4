import { expect, test } from '@jest/globals';
import { runJob } from '../../../src/functions/orchestrations/run-job.js';
import type { InputOf } from '../../../src/rows/step-contract.js';
import type { closeJobContract } from '../../../src/operations/contracts.js';
import { replay, type Played } from '../../support/replay.js';
import { ROOT, activities, type Answers } from '../../support/scripted.js';

type Closed = InputOf<typeof closeJobContract>;

async function play(changes: Answers): Promise<Played & { closed: Closed[] }> {
  const closed: Closed[] = [];
  const played = await replay(runJob, {
    input: { runId: 'r1' },
    activities: activities({
      beginJob: () => ({ done: { operation: 'run', name: 'resolve' } }),
      runOperation: () => ({ done: { digest: ROOT.digest } }),
      closeJob: (input) => {
        closed.push(input);
        return { done: null };
      },
      ...changes,
    }),
  });
  return { ...played, closed };
}

test('an operation is one step, by the run alone', async () => {
  const played = await play({});
  expect(played.calls.map(({ name }) => name)).toEqual(['beginJob', 'runOperation', 'closeJob']);
  expect(played.calls.at(1)?.input).toEqual({ runId: 'r1', label: 'resolve' });
  expect(played.closed).toEqual([{ runId: 'r1', result: { outcome: 'completed', digest: ROOT.digest } }]);
});

test('a list has no digest', async () => {
  const { closed } = await play({ runOperation: () => ({ done: {} }) });
  expect(closed[0]?.result).toEqual({ outcome: 'completed' });
});

test('a lease that another holds: later', async () => {
  const played = await play({ runOperation: (_input, call) => (call < 3 ? { later: 2_000 } : { done: {} }) });
  expect(played.timersMs).toHaveLength(2);
  expect(played.closed[0]?.result).toEqual({ outcome: 'completed' });
});

test.each([true, false])('refused: %s; the run is ended all the same', async (refused) => {
  const { closed } = await play({ runOperation: () => ({ failed: { code: 'X_Y', message: 'no', refused } }) });
  expect(closed.map(({ result }) => result)).toEqual([
    { outcome: refused ? 'refused' : 'failed', code: 'X_Y', reason: 'no' },
  ]);
});
