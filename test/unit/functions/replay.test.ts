import { describe, expect, test } from '@jest/globals';
import { RetryOptions, type OrchestrationContext, type Task } from 'durable-functions';
import { replay } from './replay.js';

// The driver itself: what it is to notice, it notices.
describe('the replaying driver', () => {
  test('plays activities, retries, timers and events, and gives the output', async () => {
    function* orchestrator(context: OrchestrationContext): Generator<Task, unknown, unknown> {
      const retry = new RetryOptions(2_000, 3);
      const both = yield context.df.Task.all([
        context.df.callActivityWithRetry('flaky', retry, { n: 1 }),
        context.df.callActivity('sound', { n: 2 }),
      ]);
      const timer = context.df.createTimer(new Date(context.df.currentUtcDateTime.getTime() + 60_000));
      const first = yield context.df.Task.any([context.df.waitForExternalEvent('woken'), timer]);
      if (first !== timer) timer.cancel();
      yield context.df.createTimer(new Date(context.df.currentUtcDateTime.getTime() + 5_000));
      return { both, woken: first !== timer };
    }
    const script = {
      input: {},
      activities: {
        flaky: (_input: never, call: number) => {
          if (call < 3) throw new Error('BROKEN: not yet');
          return 'mended';
        },
        sound: ({ n }: { n: number }) => n,
      },
    };
    for (const ends of ['first begun', 'last begun'] as const) {
      const played = await replay(orchestrator, { ...script, ends, event: () => 'woken' });
      expect(played).toMatchObject({ output: { both: ['mended', 2], woken: true }, waits: ['woken'] });
      expect(played.timersMs).toEqual([5_000]);
      expect(played.calls.filter(({ name }) => name === 'flaky')).toHaveLength(3);
    }
    const unheard = await replay(orchestrator, script);
    expect(unheard).toMatchObject({ output: { woken: false }, timersMs: [60_000, 5_000] });
  });

  test('gives an activity up after its last attempt, and the error with which the orchestration fails', async () => {
    function* orchestrator(context: OrchestrationContext): Generator<Task, void, unknown> {
      yield context.df.callActivityWithRetry('broken', new RetryOptions(1_000, 2), {});
    }
    const played = await replay(orchestrator, {
      input: {},
      activities: {
        broken: () => {
          throw new Error('BROKEN: for good');
        },
      },
    });
    expect(played.calls).toHaveLength(2);
    expect(played.error).toContain('BROKEN: for good');
  });

  test('an orchestrator that wants something else each time is found out', async () => {
    let turns = 0;
    function* orchestrator(context: OrchestrationContext): Generator<Task, void, unknown> {
      turns += 1;
      yield context.df.callActivity('step', { turns });
    }
    await expect(replay(orchestrator, { input: {}, activities: { step: () => null } })).rejects.toThrow(
      'it wants something else',
    );
  });

  test('an orchestrator that looks at more than its history is found out', async () => {
    let done = 0;
    function* orchestrator(context: OrchestrationContext): Generator<Task, void, unknown> {
      yield context.df.callActivity(done === 0 ? 'one' : 'other', {});
      yield context.df.callActivity('last', {});
    }
    const activities = { one: () => (done = 1), other: () => null, last: () => null };
    await expect(replay(orchestrator, { input: {}, activities })).rejects.toThrow('it forgot what it wanted before');
  });
});
