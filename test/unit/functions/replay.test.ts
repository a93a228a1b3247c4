import { randomUUID } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { RetryOptions, type OrchestrationContext, type Task } from 'durable-functions';
import { replay } from '../../support/replay.js';

// The driver itself: what it is to notice, it notices.
describe('the replaying driver', () => {
  test('plays activities, retries, timers and events, and returns the output', async () => {
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

  test('gives up an activity after its last attempt, and fails the orchestration', async () => {
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

  test.each<[string, (context: OrchestrationContext) => Generator<Task, unknown, unknown>]>([
    [
      'that gives the time to an activity',
      function* (context) {
        yield context.df.callActivity('step', { at: Date.now() });
      },
    ],
    [
      'that looks whether it is late',
      function* (context) {
        yield context.df.callActivity('step', {});
        if (new Date().getTime() - context.df.currentUtcDateTime.getTime() < 365 * 24 * 3_600_000) {
          yield context.df.callActivity('step', {});
        }
      },
    ],
    [
      'that sets a timer by the clock on the wall',
      function* (context) {
        yield context.df.createTimer(new Date(Date.now() + 1_000));
      },
    ],
    [
      'that measures',
      function* (context) {
        yield context.df.callActivity('step', { ms: performance.now() });
      },
    ],
    [
      'that throws dice',
      function* (context) {
        yield context.df.callActivity(Math.random() < 0.5 ? 'step' : 'other', { n: Math.random() });
      },
    ],
    [
      'that makes up a name',
      function* (context) {
        yield context.df.callActivity('step', { name: randomUUID() });
      },
    ],
    [
      'that wants the same in another order',
      (() => {
        let turns = 0;
        return function* (context) {
          const names = ['step', 'other'];
          if (turns++ % 2 === 1) names.reverse();
          yield context.df.Task.all(names.map((name) => context.df.callActivity(name, {})));
        };
      })(),
    ],
  ])('an orchestrator %s is found out', async (_name, orchestrator) => {
    const activities = { step: () => null, other: () => null };
    await expect(replay(orchestrator, { input: {}, activities })).rejects.toThrow('it wants something else');
  });

  test('accepts an orchestrator that follows its history, whatever the clocks say', async () => {
    function* orchestrator(context: OrchestrationContext): Generator<Task, unknown, unknown> {
      const at = context.df.currentUtcDateTime.getTime();
      yield context.df.createTimer(new Date(at + 60_000));
      yield context.df.callActivity('step', { waited: context.df.currentUtcDateTime.getTime() - at >= 60_000 });
      return new Date(0).toISOString();
    }
    const played = await replay(orchestrator, { input: {}, activities: { step: () => null } });
    expect(played).toMatchObject({ calls: [{ input: { waited: true } }], output: '1970-01-01T00:00:00.000Z' });
  });

  test('detects an orchestrator that asks for something else at each replay', async () => {
    let turns = 0;
    function* orchestrator(context: OrchestrationContext): Generator<Task, void, unknown> {
      turns += 1;
      yield context.df.callActivity('step', { turns });
    }
    await expect(replay(orchestrator, { input: {}, activities: { step: () => null } })).rejects.toThrow(
      'it wants something else',
    );
  });

  test('detects an orchestrator that uses more than its history', async () => {
    let done = 0;
    function* orchestrator(context: OrchestrationContext): Generator<Task, void, unknown> {
      yield context.df.callActivity(done === 0 ? 'one' : 'other', {});
      yield context.df.callActivity('last', {});
    }
    const activities = { one: () => (done = 1), other: () => null, last: () => null };
    await expect(replay(orchestrator, { input: {}, activities })).rejects.toThrow('it forgot what it wanted before');
  });
});
