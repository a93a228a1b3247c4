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
          { type: 'application', name: 'srv/app.deps.json' },
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
          { SPDXID: 'SPDXRef-os', name: 'alpine', primaryPackagePurpose: 'OPERATING-SYSTEM' },
          { SPDXID: 'SPDXRef-os-2', name: 'alpine', primaryPackagePurpose: 'OPERATING_SYSTEM' },
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

  test.each<[string, SbomPackage, SbomPackage]>([
    [
      'an rpm with an epoch of 0',
      pack('rpm', 'a', '1-2', 'pkg:rpm/redhat/a@1-2?arch=x86_64'),
      pack('rpm', 'a', '0:1-2', 'pkg:rpm/redhat/a@1-2?arch=x86_64&distro=rhel-9&epoch=0'),
    ],
    [
      'an rpm with its epoch in the version or in the package URL',
      pack('rpm', 'a', '1:1-2', 'pkg:rpm/redhat/a@1-2?arch=x86_64&epoch=1'),
      pack('rpm', 'a', '1-2', 'pkg:rpm/rhel/a@1-2?epoch=1&arch=x86_64'),
    ],
    [
      'a deb with its epoch in the version or in the package URL',
      pack('deb', 'a', '1:1-2', 'pkg:deb/debian/a@1%3A1-2?arch=amd64'),
      pack('deb', 'a', '1-2', 'pkg:deb/debian/a@1-2?arch=amd64&epoch=1'),
    ],
    [
      'the standard library of Go by syft',
      pack('golang', 'stdlib', '1.22.3', 'pkg:golang/stdlib@1.22.3'),
      pack('golang', 'stdlib', 'go1.22.3', 'pkg:golang/stdlib@1.22.3'),
    ],
    [
      'the standard library of Go by trivy',
      pack('golang', 'stdlib', '1.22.3', 'pkg:golang/stdlib@1.22.3'),
      pack('golang', 'stdlib', 'v1.22.3', 'pkg:golang/stdlib@v1.22.3'),
    ],
    [
      'a jar whose group only the package URL has',
      pack('maven', 'g.h:a', '1', 'pkg:maven/g.h/a@1'),
      pack('maven', 'a', '1', 'pkg:maven/g.h/a@1'),
    ],
    ['a scoped npm package', pack('npm', '@s/a', '1', 'pkg:npm/%40s/a@1'), pack('npm', 'a', '1', 'pkg:npm/%40s/a@1')],
    ['a Python project', pack('pypi', 'A_b', '1', 'pkg:pypi/a-b@1'), pack('pypi', 'a.b', '1', 'pkg:pypi/a.b@1')],
    [
      'a version that is not known',
      pack('maven', 'g:a', '', 'pkg:maven/g/a'),
      pack('maven', 'g:a', 'UNKNOWN', 'pkg:maven/g/a'),
    ],
  ])('is none for %s', (_, one, other) => {
    expect([diffSboms([one], [other]), diffSboms([other], [one])]).toEqual([[], []]);
  });

  test('takes an rpm with another epoch, or a module named stdlib with another version, for changed', () => {
    const rpm = (epoch: number): SbomPackage => pack('rpm', 'a', '1-2', `pkg:rpm/redhat/a@1-2?epoch=${epoch}`);
    expect(diffSboms([rpm(0)], [rpm(1)])).toMatchObject([{ from: ['1-2'], to: ['1:1-2'] }]);
    const library = (version: string): SbomPackage => pack('golang', 'stdlib', version, `pkg:golang/stdlib@${version}`);
    expect(diffSboms([library('1.22.3')], [library('go1.22.4')])).toHaveLength(1);
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
