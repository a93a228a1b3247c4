import { expect, test } from '@jest/globals';
import { ReportedRates } from '../../../../src/oci/registry/reported-rates.js';

const perMinute = (headers: Record<string, string>, known = {}): number | undefined => {
  const rates = new ReportedRates();
  rates.note('host', headers);
  return rates.perMinute('host', known);
};

test.each([
  ['ACR', { 'x-ms-ratelimit-remaining-calls-per-second': '166.5' }, 9990],
  ['nothing left', { 'x-ms-ratelimit-remaining-calls-per-second': '0' }, 0],
  ['Docker Hub', { 'ratelimit-remaining': '72;w=21600' }, 0.2],
  ['a window of a minute', { 'ratelimit-remaining': '30' }, 30],
  ['nothing', {}, undefined],
  [
    'what is no number',
    { 'x-ms-ratelimit-remaining-calls-per-second': 'many', 'ratelimit-remaining': '-1' },
    undefined,
  ],
])('%s', (_name, headers, expected) => {
  expect(perMinute(headers)).toBe(expected);
});

test('the least of what is reported and what is known counts', () => {
  const known = { read: 5000, referrers: 250 };
  expect(perMinute({}, known)).toBe(250);
  expect(perMinute({ 'x-ms-ratelimit-remaining-calls-per-second': '166' }, known)).toBe(250);
  expect(perMinute({ 'x-ms-ratelimit-remaining-calls-per-second': '1' }, known)).toBe(60);
});

test('the last word counts, host by host', () => {
  const rates = new ReportedRates();
  for (const left of ['10', '20']) rates.note('host', { 'x-ms-ratelimit-remaining-calls-per-second': left });
  rates.note('host', {});
  expect(rates.perMinute('host', {})).toBe(1200);
  expect(rates.perMinute('other', {})).toBeUndefined();
});
