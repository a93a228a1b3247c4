import * as fc from 'fast-check';
import { describe, expect, test } from '@jest/globals';
import { invertedTime, newRunId } from '../../../src/rows/open-run.js';

const LATEST_MS = 2 ** 48 - 1;

describe('newRunId', () => {
  test('ids sorted as text are newest first', () => {
    fc.assert(
      fc.property(fc.nat(LATEST_MS), fc.nat(LATEST_MS), (a, b) => {
        fc.pre(a !== b);
        expect(newRunId(a) < newRunId(b)).toBe(a > b);
      }),
    );
  });

  test('an id has 27 characters that are valid in keys, instance ids and URLs, and is unique', () => {
    const ids = Array.from({ length: 1000 }, () => newRunId(Date.UTC(2026, 4, 1)));
    expect(new Set(ids).size).toBe(1000);
    for (const id of ids) {
      expect(id).toMatch(/^[0-9a-v]{10}-[0-9a-v]{16}$/);
    }
    // The random part uses all of its 80 bits: every place takes many characters.
    for (let place = 11; place < 27; place += 1) {
      expect(new Set(ids.map((id) => id[place])).size).toBeGreaterThan(25);
    }
  });
});

describe('invertedTime', () => {
  test('a time outside the range becomes its nearest limit, and an invalid time sorts last', () => {
    expect(invertedTime(-5)).toBe(invertedTime(0));
    expect(invertedTime(LATEST_MS + 5)).toBe('0000000000');
    expect(invertedTime(Number.NaN)).toBe(invertedTime(0));
    expect(invertedTime(0)).toHaveLength(10);
  });
});
