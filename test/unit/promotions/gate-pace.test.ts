import { expect, test } from '@jest/globals';
import { pauseBeforeNext } from '../../../src/promotions/promote.js';

const MINUTE = 60_000;

/** When it is looked, where somebody pushes all the time; in milliseconds. */
function looksWithin(ms: number, fromMs = 0, looks = 0): number[] {
  const at: number[] = [];
  for (let now = fromMs; now <= ms && at.length < 1_000; now += pauseBeforeNext(looks + at.length, now)) at.push(now);
  return at;
}

test('the first checks come at once, the next after seconds, the last every two minutes: fifty in an hour', () => {
  const at = looksWithin(60 * MINUTE);
  expect(at.slice(0, 7)).toEqual([0, 0, 0, 0, 0, 2_000, 4_500]);
  expect(at).toHaveLength(49);
  const pauses = at.slice(1).map((ms, index) => ms - (at[index] ?? 0));
  expect(pauses).toEqual(pauses.toSorted((a, b) => a - b));
  expect(pauses.at(-1)).toBe(2 * MINUTE);
});

test('what was saved in a quiet time is there to be spent; the hour holds no more of them for that', () => {
  expect(pauseBeforeNext(12, 10 * MINUTE)).toBe(0);
  const early = looksWithin(10_000);
  const late = looksWithin(60 * MINUTE, 50 * MINUTE, early.length);
  expect(late.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => 50 * MINUTE));
  expect(early.length + late.length).toBe(49);
});

test('a run that has looked too often by far, begun by code that knew no pause: two minutes', () => {
  expect(pauseBeforeNext(400, MINUTE)).toBe(2 * MINUTE);
});
