import { expect, test } from '@jest/globals';
import { Permits } from '../../../src/functions/activities.js';

const SHORT_MS = 20;

test('the number of permits is limited; one more caller waits for the next, and any other gets none', async () => {
  const permits = new Permits(2);
  const first = await permits.take(SHORT_MS);
  expect(await permits.take(SHORT_MS)).toBeDefined();
  const third = permits.take(60_000);
  expect(await permits.take(60_000)).toBeUndefined();
  first?.();
  const given = await third;
  expect(given).toBeDefined();
  expect(await permits.take(SHORT_MS)).toBeUndefined();
  given?.();
  expect(await permits.take(SHORT_MS)).toBeDefined();
});

test('callers with a permit see that another caller waits', async () => {
  const permits = new Permits(1);
  const first = await permits.take(SHORT_MS);
  expect(permits.isWaitedFor).toBe(false);
  const next = permits.take(60_000);
  expect(permits.isWaitedFor).toBe(true);
  first?.();
  await next;
  expect(permits.isWaitedFor).toBe(false);
});

test('a caller whose wait has ended does not take a permit, and another caller may wait', async () => {
  const permits = new Permits(1);
  const first = await permits.take(SHORT_MS);
  expect(await permits.take(SHORT_MS)).toBeUndefined();
  const next = permits.take(60_000);
  first?.();
  (await next)?.();
  expect(await permits.take(SHORT_MS)).toBeDefined();
  expect(await permits.take(SHORT_MS)).toBeUndefined();
});
