import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { encodeJson } from '../../../../src/sbom/documents/json.js';
import { propertyRuns } from '../../../support/property-runs.js';

test('a document is encoded as JSON.stringify does it, and iterables as arrays', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.array(fc.jsonValue()), (members, list) => {
      const written = encodeJson({ ...members, list: list.values(), not: undefined }, 1e9);
      expect(Buffer.from(written).toString()).toBe(`${JSON.stringify({ ...members, list }, undefined, 1)}\n`);
    }),
    { numRuns: propertyRuns(300) },
  );
});
