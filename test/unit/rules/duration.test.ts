import { expect, test } from '@jest/globals';
import { formatDuration } from '../../../src/rules/duration.js';
import { parseDuration, deadlineMs } from '../../../src/rules/rule.js';
import { rule } from '../../support/rules.fixture.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

test.each([
  ['90s', 90_000],
  ['10m', 10 * MINUTE],
  ['24h', 24 * HOUR],
  ['7d', 7 * 24 * HOUR],
])('%s is a duration', (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test.each(['', '24', 'h', '0h', '-1h', '1.5h', '1h 5m', ' 1h', '1w', '9999999s'])('%p is not a duration', (text) => {
  expect(parseDuration(text)).toBeUndefined();
});

test.each([
  [0, '0 ms'],
  [999.4, '999 ms'],
  [999.5, '1 s'],
  [1_600, '2 s'],
  [59_999, '1 min'],
  [60_000, '1 min'],
  [125_000, '2 min 5 s'],
  [15 * MINUTE, '15 min'],
  [HOUR, '1 h'],
  [HOUR + 5 * MINUTE, '1 h 5 min'],
  [24 * HOUR, '24 h'],
])('%d ms is formatted as %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});

test('a deadline is a day by default, and may be ten seconds to seven days', () => {
  expect(deadlineMs(rule())).toBe(24 * HOUR);
  expect(deadlineMs(rule({ deadline: '10s' }))).toBe(10_000);
  expect(deadlineMs(rule({ deadline: '7d' }))).toBe(7 * 24 * HOUR);
  for (const deadline of ['9s', '8d', '24', 24, '']) expect(() => rule({ deadline })).toThrow(/deadline/);
});
