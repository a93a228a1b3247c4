import { describe, expect, test } from '@jest/globals';
import { EventType, openTasks } from '../../../../local/host/durable/history.js';
import type { Instance } from '../../../../local/host/durable/instances.js';
import type { Call, TurnBody } from '../../../../local/host/durable/messages.js';
import { ActionType, flatten, TurnPlan } from '../../../../local/host/durable/plan.js';

const NOW = Date.parse('2026-01-02T03:04:05.678Z');
const instance: Instance = {
  id: 'i',
  name: 'o',
  execution: 'e',
  status: 'Running',
  input: 'null',
  output: 'null',
  customStatus: 'null',
  createdAt: NOW,
  updatedAt: NOW,
  nextTask: 5,
  actionsDone: 0,
  parent: undefined,
};
const options = {
  firstRetryIntervalInMilliseconds: 100,
  maxNumberOfAttempts: 3,
  backoffCoefficient: 2,
  maxRetryIntervalInMilliseconds: 150,
};
const call = (attempt: number): Call => ({ kind: 'activity', name: 'a', input: '1', retry: { options, attempt } });
const failure = (attempt: number, task = 2): TurnBody => ({
  kind: 'completion',
  event: { EventType: EventType.taskFailed, TaskScheduledId: task, Reason: 'r', Details: 'd' },
  call: call(attempt),
});
const plan = () => new TurnPlan(instance, NOW);

describe('the input of a turn', () => {
  test.each([
    [1, 100],
    [2, 150],
    [3, 0],
  ])('failed attempt %i is followed by a numbered timer, due in %i ms', (attempt, delayMs) => {
    const turn = plan();
    expect(turn.feed(failure(attempt), [])).toBe(true);
    expect(turn.nextTask).toBe(6);
    expect(turn.messages).toEqual([
      expect.objectContaining({
        queue: 'instance',
        visibleAt: NOW + delayMs,
        body: expect.objectContaining({ kind: 'timer', task: 5, call: call(attempt + 1) }),
      }),
    ]);
  });

  test('the next attempt follows its timer with a number of its own, and none follows the last', () => {
    const timer = (attempt: number): TurnBody => ({ kind: 'timer', task: 4, fireAt: '', call: call(attempt) });
    const next = plan();
    next.feed(timer(3), []);
    expect(next.messages).toMatchObject([
      { queue: 'activity', body: { task: 5, call: { name: 'a', retry: { attempt: 3 } } } },
    ]);
    const last = plan();
    last.feed(timer(4), []);
    expect([last.messages, last.nextTask]).toEqual([[], 5]);
  });

  test('a repeated completion of either kind changes nothing', () => {
    const first = plan();
    first.feed(failure(1), []);
    const second = plan();
    expect(second.feed(failure(1), first.events)).toBe(false);
    const success = { EventType: EventType.taskCompleted, TaskScheduledId: 2, Result: '1' };
    expect(second.feed({ kind: 'completion', event: success, call: call(1) }, first.events)).toBe(false);
    expect([second.messages, second.nextTask]).toEqual([[], 5]);
    expect(second.feed(failure(1, 3), first.events)).toBe(true);
  });
});

describe('the actions of an orchestrator', () => {
  test('are numbered in order, except events', () => {
    const turn = plan();
    const actions = flatten([
      { actionType: ActionType.callActivity, functionName: 'a', input: '"text"' },
      {
        actionType: ActionType.whenAny,
        compoundActions: [
          { actionType: ActionType.waitForExternalEvent },
          { actionType: ActionType.createTimer, fireAt: '2026-01-02T03:04:06.000Z' },
          {
            actionType: ActionType.whenAll,
            compoundActions: [{ actionType: ActionType.callSubOrchestrator, functionName: 's' }],
          },
        ],
      },
    ]);
    actions.forEach((action, index) => turn.schedule(action, index));
    expect(turn.messages.map((message) => message.body)).toMatchObject([
      { kind: 'activity', task: 5, call: { input: '"text"' } },
      { kind: 'timer', task: 6 },
    ]);
    expect(turn.children).toMatchObject([
      { name: 's', input: 'null', parent: { instance: 'i', execution: 'e', task: 7 } },
    ]);
    expect(openTasks(turn.events, () => false).map((event) => event.EventId)).toEqual([5, 6, 7]);
    expect(openTasks(turn.events, (index) => index === 2).map((event) => event.EventId)).toEqual([5, 7]);
  });

  test('include a cancelled timer in the numbers but do not start it', () => {
    const turn = plan();
    turn.schedule({ actionType: ActionType.createTimer, fireAt: '2026-01-02T03:04:06.000Z', isCanceled: true }, 0);
    expect([turn.messages, turn.nextTask]).toEqual([[], 6]);
  });

  test.each([
    { actionType: 7 },
    { actionType: 8 },
    {
      actionType: ActionType.callActivityWithRetry,
      functionName: 'a',
      retryOptions: { ...options, retryTimeoutInMilliseconds: 1 },
    },
  ])('%j is refused by name', (action) => {
    expect(() => plan().schedule(action, 0)).toThrow(expect.objectContaining({ code: 'LOCAL_HOST_UNSUPPORTED' }));
  });
});
