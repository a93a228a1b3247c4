import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { CATALOGERS } from '../../../src/sbom/catalogers/index.js';
import { layerFile } from '../../support/layer-file.js';
import { propertyRuns } from '../../support/property-runs.js';

describe('every cataloger', () => {
  test('has a name of its own', () => {
    expect(new Set(CATALOGERS.map(({ name }) => name)).size).toBe(CATALOGERS.length);
  });

  test.each(CATALOGERS.map((cataloger) => [cataloger.name, cataloger] as const))(
    '%s reads any bytes without an error, twice with the same result, in any pieces, as plain data',
    async (_, cataloger) => {
      await fc.assert(
        fc.asyncProperty(
          fc.oneof(fc.uint8Array(), fc.string(), fc.json()),
          fc.integer({ min: 1 }),
          async (...given) => {
            const [content, chunkBytes] = given;
            const once = await cataloger.read(layerFile(content));
            expect(await cataloger.read(layerFile(content, { chunkBytes }))).toEqual(once);
            expect(structuredClone(once)).toEqual(once);
          },
        ),
        { numRuns: propertyRuns(50) },
      );
    },
  );
});
