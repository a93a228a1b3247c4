import { expect, test } from '@jest/globals';
import { dueTime } from '../../../src/schedule/clock.js';

const EVERY_FIVE = '0 */5 * * * *';
const at = (time: string): string => `2026-03-01T${time}.000Z`;

test.each([
  // Schedule, time of the last scan, now, expected due time.
  [EVERY_FIVE, undefined, '12:03:10', '12:00:00'],
  [EVERY_FIVE, '12:00:00', '12:04:59', undefined],
  [EVERY_FIVE, '12:00:00', '12:05:00', '12:05:00'],
  // Missed times are made up for once.
  [EVERY_FIVE, '09:00:00', '12:04:59', '12:00:00'],
  // Two hosts whose clocks differ by a minute scan once.
  [EVERY_FIVE, '12:05:00', '12:04:10', undefined],
  // Written by a clock that was an hour ahead.
  [EVERY_FIVE, '13:05:00', '12:07:00', '12:05:00'],
  ['0 30 6 * * 1', undefined, '12:00:00', undefined],
  ['*/10 * * * * *', '12:00:00', '12:01:05', '12:01:00'],
])('%s: after %s, at %s, %s is due', (schedule, before, now, due) => {
  const last = before === undefined ? undefined : at(before);
  // The first of March 2026 is a Sunday.
  const expected = schedule.endsWith('1') ? '2026-02-23T06:30:00.000Z' : due === undefined ? undefined : at(due);
  expect(dueTime(schedule, last, new Date(at(now)))).toBe(expected);
});

test('a schedule without any time is never due', () => {
  expect(dueTime('0 0 0 30 2 *', undefined, new Date(at('12:00:00')))).toBeUndefined();
});
