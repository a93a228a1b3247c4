import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { ensureCreated } from '../../../src/azure/ensure-created.js';
import { ConfigurationError, TransportError } from '../../../src/oci/index.js';

describe('creating what is missing in storage', () => {
  const away = new TransportError('STORAGE_UNAVAILABLE', 'no answer');
  let answers: (Error | 'hangs' | undefined)[];
  let calls: number;
  const storage = {
    ensureCreated: async (): Promise<void> => {
      const answer = answers[calls];
      calls += 1;
      if (answer === 'hangs') await new Promise(() => undefined);
      if (answer instanceof Error) throw answer;
    },
  };
  beforeEach(() => {
    calls = 0;
    jest.useFakeTimers();
    jest.spyOn(console, 'error').mockReturnValue(undefined);
  });
  afterEach(() => {
    jest.useRealTimers();
    jest.restoreAllMocks();
  });

  test('happens once if the account answers', async () => {
    answers = [undefined];
    await ensureCreated(storage);
    await jest.advanceTimersByTimeAsync(120_000);
    expect(calls).toBe(1);
  });

  test('is retried in the background until an account that does not answer does', async () => {
    answers = [away, away, away, undefined];
    await ensureCreated(storage);
    expect(calls).toBe(1);
    await jest.advanceTimersByTimeAsync(1_000 + 2_000 + 4_000);
    expect(calls).toBe(4);
    await jest.advanceTimersByTimeAsync(120_000);
    expect(calls).toBe(4);
  });

  test('delays the start by at most ten seconds if the account hangs', async () => {
    answers = ['hangs', undefined];
    let started = false;
    const starting = ensureCreated(storage).then(() => (started = true));
    await jest.advanceTimersByTimeAsync(9_999);
    expect(started).toBe(false);
    await jest.advanceTimersByTimeAsync(1);
    await starting;
    await jest.advanceTimersByTimeAsync(1_000);
    expect(calls).toBe(2);
  });

  test('fails at once if the key is refused', async () => {
    answers = [new ConfigurationError('STORAGE_DENIED', 'denied')];
    await expect(ensureCreated(storage)).rejects.toMatchObject({ code: 'STORAGE_DENIED' });
  });
});
