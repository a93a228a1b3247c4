import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { TransportError } from '../../../src/oci/index.js';
import { Busy, longStep, type LongStep } from '../../../src/transfer/long-step.js';
import type { StepReply } from '../../../src/ports/step.js';
import { newCall, newWorld, type World } from '../../support/world.js';

// Attempts of a long step: eight may end without progress, and no more.

const MOST = 8;

let world: World;
let begun: number;

beforeEach(() => {
  world = newWorld();
  begun = 0;
});

/** One call of a step; what it throws is returned. */
function attempt(
  work: (step: LongStep) => Promise<unknown>,
  { signal, runId = 'r1' }: { signal?: AbortSignal; runId?: string } = {},
): Promise<StepReply<unknown> | Error> {
  return longStep(world, 'attach', { runId }, newCall(signal), (step) => {
    begun += 1;
    return work(step);
  }).catch((error: unknown) => error as Error);
}

/** Its process dies: it never ends. */
function dies(before: (step: LongStep) => Promise<unknown> = async () => undefined): Promise<void> {
  return new Promise((resolve) => {
    void attempt(async (step) => {
      await before(step);
      resolve();
      return new Promise(() => {});
    });
  });
}
async function loseLease(): Promise<unknown> {
  return attempt(() => Promise.reject(new TransportError('LEASE_LOST', 'lost', { transient: true })));
}
async function runsOutOfTime(): Promise<unknown> {
  const time = new AbortController();
  return attempt(
    () => {
      const over = new DOMException('over', 'TimeoutError');
      time.abort(over);
      return Promise.reject(over);
    },
    { signal: time.signal },
  );
}
const isDone = async (): Promise<string> => 'done';
const STUCK = { code: 'STEP_STUCK', transient: false, remedy: expect.any(String) };

test.each([
  ['its process dies', dies],
  ['its time is over', runsOutOfTime],
  ['its lease is lost', loseLease],
])('a step ends after a limited number of attempts in a run if %s each time', async (_why, fails) => {
  for (let attempts = 0; attempts < MOST; attempts += 1) await fails();
  expect(begun).toBe(MOST);
  expect(await attempt(isDone)).toMatchObject(STUCK);
  expect(begun).toBe(MOST);
  expect(await attempt(isDone, { runId: 'r2' })).toEqual({ done: 'done' });
});

test('a step with one such attempt fewer is done', async () => {
  for (let attempts = 1; attempts < MOST; attempts += 1) await dies();
  expect(await attempt(isDone)).toEqual({ done: 'done' });
});

test('an attempt that stores a result before it dies is progress, and restarts the count', async () => {
  for (let attempts = 1; attempts < MOST; attempts += 1) await dies();
  await dies(async (step) => {
    await step.once('one thing', isDone);
    await step.keep();
  });
  for (let attempts = 1; attempts < MOST; attempts += 1) await dies();
  expect(await attempt(isDone)).toMatchObject(STUCK);
});

describe('work that begins from its start in each call', () => {
  let nowMs = 0;
  beforeEach(() => void jest.spyOn(performance, 'now').mockImplementation(() => nowMs));
  afterEach(() => void jest.restoreAllMocks());
  /** Its process dies after so many bytes. */
  const diesAt = (bytes: number, afterMs = 20_000): Promise<void> =>
    dies(async (step) => {
      nowMs += afterMs;
      step.reached('a layer', bytes);
      // Waits for the write.
      await step.keep();
    });

  test('makes progress in each call that gets further than all before', async () => {
    for (let attempts = 1; attempts <= 3 * MOST; attempts += 1) await diesAt(attempts);
    expect(await attempt(isDone)).toEqual({ done: 'done' });
  });

  test('makes none in calls that get no further', async () => {
    await diesAt(100);
    for (let attempts = 1; attempts < MOST; attempts += 1) await diesAt(100 - attempts);
    expect(await attempt(isDone)).toMatchObject(STUCK);
  });

  test('writes at most every 20 seconds how far it is', async () => {
    await dies(async (step) => {
      for (let bytes = 1; bytes <= 100; bytes += 1) {
        nowMs += 1_000;
        step.reached('a layer', bytes);
        await step.keep();
      }
    });
    const written = [...world.documents.kept.keys()].filter((name) => name.endsWith('.jsonl'));
    expect(written).toHaveLength(5);
  });
});

test('an attempt that finds only known results is no progress', async () => {
  const recalls = async (step: LongStep): Promise<void> => {
    await step.once('one thing', isDone);
    await step.keep();
  };
  for (let attempts = 0; attempts < MOST; attempts += 1) await dies(recalls);
  expect(await attempt(isDone)).toMatchObject(STUCK);
});

test.each<[string, () => Promise<unknown>]>([
  ['trouble that is waited for', () => attempt(() => Promise.reject(new TransportError('CONNECT_FAILED', 'down')))],
  ['a call that waits for its turn', () => attempt(() => Promise.reject(new Busy(2_000)))],
  ['a call that goes on later', () => attempt((step) => step.goOnLater())],
])('%s is no attempt without progress', async (_what, ends) => {
  for (let calls = 0; calls < 3 * MOST; calls += 1) await ends();
  for (let attempts = 1; attempts < MOST; attempts += 1) await dies();
  await ends();
  expect(await attempt(isDone)).toEqual({ done: 'done' });
});

test('a call that reaches its limit asks for a call at once; one that waits returns a pause', async () => {
  expect(await attempt((step) => step.goOnLater())).toEqual({ retryAfterMs: 0 });
  expect(await attempt(() => Promise.reject(new Busy(2_000)))).toEqual({ retryAfterMs: 2_000 });
});

test('what an overtaken call stores is not read by the call that continues', async () => {
  let late: LongStep | undefined;
  await dies(async (step) => void (late = step));
  await dies(async (step) => {
    step.setState('how far', 2);
    await step.keep();
  });
  late?.setState('how far', 1);
  await expect(late?.keep()).rejects.toThrow('another call goes on');
  // It does nothing more.
  await expect(late?.once('more', isDone)).rejects.toThrow('another call goes on');
  expect(await attempt(async (step) => step.stateOf('how far'))).toEqual({ done: 2 });
});

test('a state that changes a hundred times is stored in a few documents, with all other results', async () => {
  await dies(async (step) => {
    await step.once('one thing', isDone);
    for (let number = 1; number <= 100; number += 1) {
      step.setState('how far', number);
      await step.keep();
    }
  });
  const { kept } = world.documents;
  const bytes = kept.get('documents/plans/r1/attach/checkpoint.json') ?? '';
  const { pieces } = JSON.parse(Buffer.from(bytes).toString()) as { pieces: string[] };
  expect(pieces.length).toBeLessThanOrEqual(33);
  const never = (): Promise<string> => Promise.reject(new Error('it was done before'));
  expect(await attempt(async (step) => [await step.once('one thing', never), step.stateOf('how far')])).toEqual({
    done: ['done', 100],
  });
});

test('work that has begun may send requests beyond the limit of a call', async () => {
  const { signal } = new AbortController();
  const target = `sha256:${'a'.repeat(64)}`;
  world.callBounds = { ...world.callBounds, requests: 1 };
  const ask = (step: LongStep): Promise<boolean> =>
    step
      .repository('r.azurecr.io', 'samples/app')
      .resolve(target, { signal })
      .then(
        () => true,
        () => false,
      );
  const reply = await attempt(async (step) => step.once('both', async () => [await ask(step), await ask(step)]));
  expect(reply).toEqual({ done: [false, false] });
});

test('a call that cannot write its checkpoint does not begin', async () => {
  world.documents.putVersioned = () => Promise.reject(new TransportError('CONNECT_FAILED', 'down'));
  expect(await attempt(isDone)).toMatchObject({ code: 'CONNECT_FAILED' });
  expect(begun).toBe(0);
});

test('a call that was overtaken ends when it stores a layer', async () => {
  let wake = (): void => {};
  const frozen = new Promise<void>((resolve) => (wake = resolve));
  const late = attempt(async (step) => {
    await frozen;
    await step.layers.write('key', Buffer.from('same'));
    return 'late';
  });
  await new Promise((resolve) => setTimeout(resolve, 20));
  // The next call has begun, and has written nothing yet when the frozen one continues.
  const reply = await attempt(async (step) => {
    wake();
    expect(await late).toEqual({ retryAfterMs: 2_000 });
    return Buffer.from((await step.layers.read('key')) ?? []).toString();
  });
  expect(reply).toEqual({ done: 'same' });
});
