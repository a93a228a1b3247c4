import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { z } from 'zod';
import { packRow, unpackRow } from '../../../src/azure/row-json.js';
import { propertyRuns } from '../../support/property-runs.js';

const PLACE = { table: 'runs', partitionKey: 'run', rowKey: 'x' };

describe('packRow and unpackRow', () => {
  test('any text is unpacked unchanged; each chunk fits into a property and splits no character', () => {
    // A control character takes six characters of JSON.
    const text = fc
      .tuple(fc.string({ unit: 'binary', maxLength: 3 }), fc.string({ unit: 'binary', minLength: 1, maxLength: 5 }))
      .map(([start, part]) => start + part.repeat(8_000));
    fc.assert(
      fc.property(text, (value) => {
        const chunks = packRow(value, PLACE);
        expect(unpackRow(chunks, z.string(), PLACE)).toBe(value);
        for (const chunk of Object.values(chunks)) {
          expect(chunk.length).toBeLessThanOrEqual(32 * 1024);
          expect(Buffer.from(chunk).toString()).toBe(chunk);
        }
      }),
      { numRuns: propertyRuns(30) },
    );
  });

  test('a surrogate pair at the end of a chunk moves to the next one', () => {
    for (const start of ['', 'x']) {
      const value = start + '\u{1f600}'.repeat(40_000);
      for (const chunk of Object.values(packRow(value, PLACE))) {
        expect(Buffer.from(chunk).toString()).toBe(chunk);
      }
    }
  });

  test('a row has at most eight chunks', () => {
    const most = 'x'.repeat(8 * 32_000 - 2);
    expect(unpackRow(packRow(most, PLACE), z.string(), PLACE)).toBe(most);
    expect(() => packRow(`${most}x`, PLACE)).toThrow(expect.objectContaining({ code: 'ROW_TOO_LARGE' }));
  });

  test.each([
    ['no chunk', {}],
    ['half of the JSON', { j0: '{"a":' }],
    ['another shape', { j0: '{"a":"b"}' }],
    ['a property of another type', { j0: 5 }],
  ])('%s is unreadable', (_, entity) => {
    const unreadable = expect.objectContaining({ code: 'ROW_UNREADABLE', details: expect.objectContaining(PLACE) });
    expect(() => unpackRow(entity, z.object({ a: z.number() }), PLACE)).toThrow(unreadable);
  });
});
