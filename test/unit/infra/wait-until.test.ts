import { describe, expect, test } from '@jest/globals';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

interface Answer {
  notYet?: string;
  done?: unknown;
}
interface Options {
  until: string;
  waitMs: number;
  say: (line: string) => void;
  remedy: string;
  pause: (ms: number) => Promise<void>;
  now: () => number;
}
const { waitUntil } = (await import(pathToFileURL(resolve('infra/hooks/wait.mjs')).href)) as {
  waitUntil: (what: string, attempt: () => Promise<Answer>, options: Options) => Promise<unknown>;
};

/** A clock that advances only during pauses. */
function clock(): Pick<Options, 'pause' | 'now'> & { pauses: number[] } {
  const pauses: number[] = [];
  return {
    pauses,
    now: () => pauses.reduce((sum, ms) => sum + ms, 0),
    pause: async (ms) => {
      pauses.push(ms);
    },
  };
}

/** Waits for a role that takes effect after the given time. */
async function wait(
  arrivesMs: number,
  waitMs: number,
): Promise<{ lines: string[]; pauses: number[]; result: unknown }> {
  const { pauses, ...time } = clock();
  const lines: string[] = [];
  const attempt = async (): Promise<Answer> =>
    time.now() >= arrivesMs ? { done: 'in force' } : { notYet: 'AuthorizationPermissionMismatch' };
  const result = await waitUntil('Key', attempt, {
    ...time,
    waitMs,
    say: (line) => lines.push(line),
    remedy: 'Sign in.',
    until: 'the role is in force',
  })
    // Returns an error like any other result.
    .catch((error: unknown) => error);
  return { lines, pauses, result };
}

describe('waiting for a role', () => {
  test('a role in effect causes no wait and no output', async () => {
    expect(await wait(0, 900_000)).toEqual({ lines: [], pauses: [], result: 'in force' });
  });

  test('a role that takes effect after ten minutes is waited for, with a line every 30 seconds', async () => {
    const { lines, pauses, result } = await wait(600_000, 900_000);
    expect(result).toBe('in force');
    expect(lines[0]).toBe('Key: waiting until the role is in force, up to 15 minutes …');
    expect(lines.at(-1)).toBe('Key: the role is in force after 10 minutes.');
    expect(lines.length).toBeGreaterThan(15);
    expect(lines.length).toBeLessThan(25);
    // Not too often, because a vault counts requests.
    expect(pauses.length).toBeLessThan(50);
    expect(Math.max(...pauses)).toBe(15_000);
  });

  test('a role that never takes effect ends the wait with the last answer and a remedy', async () => {
    const { pauses, result } = await wait(Number.POSITIVE_INFINITY, 900_000);
    expect(String(result)).toContain('Key: gave up after 15 minutes: AuthorizationPermissionMismatch\nSign in.');
    expect(pauses.reduce((sum, ms) => sum + ms, 0)).toBe(900_000);
  });

  test('without any time the role is checked once', async () => {
    const { pauses, result } = await wait(1, 0);
    expect(pauses).toEqual([]);
    expect(String(result)).toContain('gave up after 0 s');
  });

  test('any other error ends the wait at once', async () => {
    const { pauses, ...time } = clock();
    const failing = async (): Promise<Answer> => {
      throw new Error('the vault is not there');
    };
    const say = (): void => undefined;
    await expect(
      waitUntil('Key', failing, { ...time, waitMs: 900_000, say, remedy: '', until: 'it is there' }),
    ).rejects.toThrow('not there');
    expect(pauses).toEqual([]);
  });
});
