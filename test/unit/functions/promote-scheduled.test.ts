import { expect, test } from '@jest/globals';
import { promoteScheduled } from '../../../src/functions/orchestrations/promote-scheduled.js';
import { replay } from '../../support/replay.js';
import { activities } from '../../support/scripted.js';

test('walks stretch by stretch: cursor and count go from one to the next', async () => {
  const played = await replay(promoteScheduled, {
    input: {},
    activities: activities({
      walkSchedule: (_input, call) => ({
        done: { cursor: call < 3 ? `c${call}` : null, started: call * 2, looked: 5, problems: [`p${call}`] },
      }),
    }),
  });
  expect(played.calls.map(({ input }) => input)).toEqual([
    { cursor: null, started: 0 },
    { cursor: 'c1', started: 2 },
    { cursor: 'c2', started: 4 },
  ]);
  expect(played.output).toEqual({ started: 6, looked: 15, problems: ['p1', 'p2', 'p3'] });
});

test('a walk that has no end is left to the next tick after sixty stretches', async () => {
  const played = await replay(promoteScheduled, {
    input: {},
    activities: activities({
      walkSchedule: () => ({
        done: { cursor: 'again', started: 0, looked: 1, problems: ['it is down'] },
      }),
    }),
  });
  expect(played.output).toMatchObject({ started: 0, looked: 60 });
  expect((played.output as { problems: string[] }).problems).toHaveLength(50);
});

test('rules that cannot be read fail the tick; the next one looks again', async () => {
  const played = await replay(promoteScheduled, {
    input: {},
    activities: activities({
      walkSchedule: () => ({ failed: { code: 'RULES_INVALID', message: 'line 3: no', refused: false } }),
    }),
  });
  expect(played.error).toContain('line 3: no');
});
