import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { BlobLeaseClient } from '@azure/storage-blob';
import { HeldBlobLease } from '../../../src/azure/held-blob-lease.js';

/** A lease client with scripted answers to renewals. Records the time of each renewal. */
function scriptedClient(answers: (() => Promise<unknown>)[]): {
  client: BlobLeaseClient;
  renewedAt: number[];
  released: number;
} {
  const script = {
    renewedAt: [] as number[],
    released: 0,
    client: {
      async renewLease() {
        script.renewedAt.push(Date.now());
        const answer = answers.length > 1 ? answers.shift() : answers[0];
        return answer?.();
      },
      async releaseLease() {
        script.released += 1;
      },
    } as unknown as BlobLeaseClient,
  };
  return script;
}

const renewed = async (): Promise<void> => undefined;
const failWith = (statusCode?: number) => async (): Promise<never> => {
  throw Object.assign(new Error('scripted'), statusCode === undefined ? {} : { statusCode });
};

describe('HeldBlobLease', () => {
  beforeEach(() => {
    jest.useFakeTimers({ now: 1_000_000 });
  });
  afterEach(() => {
    jest.useRealTimers();
  });
  const hold = (client: BlobLeaseClient): HeldBlobLease =>
    new HeldBlobLease('the lease of x', client, { fromMs: Date.now(), leaseMs: 30_000, renewEveryMs: 10_000 });

  test('is renewed every ten seconds and held for thirty seconds from before each renewal', async () => {
    const script = scriptedClient([renewed]);
    const held = hold(script.client);
    expect(held.heldUntilMs).toBe(1_030_000);
    await jest.advanceTimersByTimeAsync(100_000);
    expect(script.renewedAt).toEqual(Array.from({ length: 10 }, (_, index) => 1_010_000 + index * 10_000));
    expect(held.heldUntilMs).toBe(1_130_000);
    expect(held.signal.aborted).toBe(false);
    await held.release();
    await jest.advanceTimersByTimeAsync(100_000);
    expect(script.renewedAt).toHaveLength(10);
    expect(script.released).toBe(1);
    expect(held.signal.aborted).toBe(false);
  });

  test.each([404, 409, 412])('is lost at once if the renewal answers %i', async (status) => {
    const held = hold(scriptedClient([renewed, failWith(status)]).client);
    await jest.advanceTimersByTimeAsync(19_999);
    expect(held.signal.aborted).toBe(false);
    await jest.advanceTimersByTimeAsync(1);
    expect(held.signal.reason).toMatchObject({ code: 'LEASE_LOST', transient: true });
    expect(held.heldUntilMs).toBeLessThan(Date.now());
  });

  test('a lease is kept through a short outage of the service', async () => {
    const held = hold(scriptedClient([failWith(), failWith(503), failWith(500), renewed]).client);
    await jest.advanceTimersByTimeAsync(120_000);
    expect(held.signal.aborted).toBe(false);
    await held.release();
  });

  test('is lost before somebody else can get it if no renewal succeeds', async () => {
    const held = hold(scriptedClient([failWith()]).client);
    await jest.advanceTimersByTimeAsync(26_999);
    expect(held.signal.aborted).toBe(false);
    await jest.advanceTimersByTimeAsync(1);
    expect(held.signal.reason).toMatchObject({ code: 'LEASE_LOST' });
  });

  test('is lost if a renewal gets no answer, even if the answer comes later', async () => {
    let answer: (() => void) | undefined;
    const late = async (): Promise<void> =>
      new Promise((resolve) => {
        answer = resolve;
      });
    const held = hold(scriptedClient([late]).client);
    await jest.advanceTimersByTimeAsync(27_000);
    expect(held.signal.aborted).toBe(true);
    answer?.();
    await jest.advanceTimersByTimeAsync(0);
    expect(jest.getTimerCount()).toBe(0);
    expect(held.heldUntilMs).toBe(0);
  });

  test('a failed release ends without an error', async () => {
    const { client } = scriptedClient([renewed]);
    client.releaseLease = failWith(503);
    const held = hold(client);
    await held.release();
    await held.release();
    await jest.advanceTimersByTimeAsync(60_000);
    expect(held.signal.aborted).toBe(false);
  });
});
