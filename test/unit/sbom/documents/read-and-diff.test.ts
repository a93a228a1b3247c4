import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { PromoterError } from '../../../../src/oci/index.js';
import { diffSboms, readSbom, type SbomPackage } from '../../../../src/sbom/index.js';
import { propertyRuns } from '../../../support/property-runs.js';

const bytesOf = (json: unknown): Uint8Array => Buffer.from(JSON.stringify(json));

describe('reading an SBOM', () => {
  test('of CycloneDX finds nested components, and neither files nor the operating system', () => {
    const nested = { type: 'library', name: 'inner', version: '2', purl: 'pkg:maven/g/inner@2', group: 'g' };
    const { format, packages } = readSbom(
      bytesOf({
        bomFormat: 'CycloneDX',
        components: [
          { type: 'operating-system', name: 'debian', version: '12' },
          { type: 'library', name: 'a', group: '@s', version: '1', purl: 'pkg:npm/%40s/a@1', components: [nested] },
          { type: 'file', name: '/etc/passwd' },
          { type: 'library', name: 'bare', licenses: [{ expression: 'MIT OR ISC' }, { license: { name: 'own' } }] },
        ],
      }),
    );
    expect(format).toBe('cyclonedx');
    expect(packages.map(({ type, name, version }) => [type, name, version])).toEqual([
      ['npm', '@s/a', '1'],
      ['library', 'bare', ''],
      ['maven', 'g:inner', '2'],
    ]);
    expect(packages[1]?.licences).toEqual(['MIT OR ISC', 'own']);
  });

  test('of SPDX leaves out what the document describes', () => {
    const { format, packages } = readSbom(
      bytesOf({
        spdxVersion: 'SPDX-2.3',
        packages: [
          { SPDXID: 'SPDXRef-root', name: 'image' },
          {
            SPDXID: 'SPDXRef-a',
            name: 'a',
            versionInfo: '1',
            licenseDeclared: 'MIT',
            externalRefs: [{ referenceType: 'purl', referenceLocator: 'pkg:deb/debian/a@1?arch=amd64' }],
          },
        ],
        relationships: [
          { spdxElementId: 'SPDXRef-DOCUMENT', relatedSpdxElement: 'SPDXRef-root', relationshipType: 'DESCRIBES' },
        ],
      }),
    );
    expect([format, packages]).toMatchObject(['spdx', [{ type: 'deb', name: 'a', version: '1', licences: ['MIT'] }]]);
    expect(packages).toHaveLength(1);
  });

  test.each([[{}], [[]], ['text'], [{ bomFormat: 'other' }]])('of %j is an error', (json) => {
    expect(() => readSbom(bytesOf(json))).toThrow(expect.objectContaining({ code: 'SBOM_INVALID' }));
  });

  test('of any JSON ends, with packages or with an error that has a code', () => {
    const value = fc.letrec((tie) => ({
      any: fc.oneof({ maxDepth: 4 }, fc.jsonValue({ maxDepth: 2 }), fc.array(tie('component'), { maxLength: 3 })),
      component: fc.dictionary(
        fc.constantFrom('name', 'type', 'purl', 'components', 'evidence', 'licenses'),
        tie('any'),
      ),
    }));
    const document = fc.record({ bomFormat: fc.constant('CycloneDX'), components: value.any });
    const spdx = fc.record({ spdxVersion: fc.constant('SPDX-2.3'), packages: value.any, relationships: value.any });
    fc.assert(
      fc.property(fc.oneof(document, spdx, value.any), (json) => {
        try {
          expect(Array.isArray(readSbom(bytesOf(json)).packages)).toBe(true);
        } catch (error) {
          if (!(error instanceof PromoterError)) throw error;
        }
      }),
      { numRuns: propertyRuns(20_000, 100) },
    );
  });
});

describe('the difference of two SBOMs', () => {
  const pack = (type: string, name: string, version: string, purl?: string): SbomPackage => ({
    type,
    name,
    version,
    ...(purl !== undefined && { purl }),
    licences: [],
    paths: [],
  });

  test('names added, removed and changed packages, in any number of versions', () => {
    const first = [pack('npm', 'a', '1'), pack('npm', 'a', '2'), pack('npm', 'b', '1'), pack('npm', 'same', '1')];
    const second = [pack('npm', 'a', '2'), pack('npm', 'a', '3'), pack('npm', 'c', '1'), pack('npm', 'same', '1')];
    expect(diffSboms(first, second)).toEqual([
      { change: 'changed', type: 'npm', name: 'a', from: ['1'], to: ['3'] },
      { change: 'removed', type: 'npm', name: 'b', from: ['1'], to: [] },
      { change: 'added', type: 'npm', name: 'c', from: [], to: ['1'] },
    ]);
  });

  test('takes the package of the next release of a distribution for the same one, of another architecture not', () => {
    const of = (version: string, arch: string, distro: string): SbomPackage =>
      pack('deb', 'libc6', version, `pkg:deb/debian/libc6@${version}?arch=${arch}&distro=debian-${distro}`);
    expect(diffSboms([of('1', 'amd64', '12')], [of('2', 'amd64', '13')])).toMatchObject([{ change: 'changed' }]);
    expect(diffSboms([of('1', 'amd64', '12')], [of('1', 'i386', '12')])).toMatchObject([
      { change: 'removed' },
      { change: 'added' },
    ]);
  });
});
