import { describe, expect, test } from '@jest/globals';
import type { LocatedPackage } from '../../../../src/sbom/catalogers/cataloger.js';
import { makeSboms } from '../../../../src/sbom/documents/make.js';
import { Gaps, type GapCause } from '../../../../src/sbom/gaps.js';
import { parseImageConfig } from '../../../../src/sbom/image-config.js';
import { SBOM_LIMITS } from '../../../../src/sbom/limits.js';
import { cycloneDxErrors } from '../../../support/sbom-schemas.js';
import { RICH_PACKAGES } from '../../../support/rich-packages.js';

interface Json {
  [name: string]: unknown;
}

function documentsOf(
  packages: readonly LocatedPackage[],
  gapTexts: readonly [GapCause, string][] = [],
): { cyclonedx: Json; spdx: Json; bytes: Uint8Array[] } {
  const gaps = new Gaps(SBOM_LIMITS);
  for (const [cause, text] of gapTexts) gaps.add(cause, text);
  const [cyclonedx, spdx] = makeSboms(
    {
      name: 'registry.example/samples/app',
      digest: `sha256:${'d'.repeat(64)}`,
      config: parseImageConfig(Buffer.from('{"architecture":"amd64","created":"2026-01-02T03:04:05Z"}')),
      distro: { id: 'debian', versionId: '12' },
      packages,
      gaps,
      covered: ['dpkg', 'npm'],
    },
    ['cyclonedx', 'spdx'],
    SBOM_LIMITS,
  );
  if (cyclonedx === undefined || spdx === undefined) throw new Error('no document');
  const read = ({ bytes }: { bytes: Uint8Array }): Json => JSON.parse(Buffer.from(bytes).toString()) as Json;
  return { cyclonedx: read(cyclonedx), spdx: read(spdx), bytes: [cyclonedx.bytes, spdx.bytes] };
}

function named(list: unknown, name: string): Json | undefined {
  return (list as Json[]).find((each) => each.name === name);
}

describe('both formats', () => {
  const documents = documentsOf(RICH_PACKAGES, [
    ['unowned-binaries', 'opt/b'],
    ['unowned-binaries', 'opt/a'],
    ['layer-elsewhere', 'layer sha256:1'],
  ]);
  const { cyclonedx, spdx } = documents;

  test('CycloneDX is valid', () => {
    expect(cycloneDxErrors(cyclonedx)).toEqual([]);
  });

  test('have source, supplier, hashes and licence of a package', () => {
    expect(named(cyclonedx.components, 'libssl3')).toMatchObject({
      supplier: { name: 'Debian OpenSSL Team', contact: [{ email: 'pkg-openssl@lists.example.org' }] },
      hashes: [{ alg: 'SHA-256', content: 'a'.repeat(64) }],
      licenses: [{ license: { id: 'Apache-2.0' } }],
      properties: [
        { name: 'aquasecurity:trivy:SrcName', value: 'openssl' },
        { name: 'aquasecurity:trivy:SrcVersion', value: '3.0.11-1' },
      ],
    });
    expect(named(spdx.packages, 'libssl3')).toMatchObject({
      supplier: 'Organization: Debian OpenSSL Team (pkg-openssl@lists.example.org)',
      checksums: [{ algorithm: 'SHA256', checksumValue: 'a'.repeat(64) }],
      licenseDeclared: 'Apache-2.0',
      sourceInfo: 'built package from: openssl 3.0.11-1',
    });
    expect(named(spdx.packages, 'bash')).toMatchObject({ supplier: 'Person: Matthias Example (doko@example.org)' });
  });

  test('have the operating system, and its packages below it', () => {
    const system = named(cyclonedx.components, 'debian');
    expect(system).toMatchObject({ type: 'operating-system', version: '12' });
    const dependencies = cyclonedx.dependencies as { ref: string; dependsOn?: string[] }[];
    const below = dependencies.find(({ ref }) => ref === system?.['bom-ref'])?.dependsOn ?? [];
    expect(below.every((ref) => ref.startsWith('pkg:deb/'))).toBe(true);
    expect(below).toHaveLength(3);
    expect(named(spdx.packages, 'debian')).toMatchObject({
      SPDXID: 'SPDXRef-OperatingSystem',
      primaryPackagePurpose: 'OPERATING_SYSTEM',
    });
  });

  test('SPDX has unique ids, and refers only to ids and licences that it has', () => {
    const ids = (spdx.packages as Json[]).map(({ SPDXID }) => SPDXID as string);
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(id).toMatch(/^SPDXRef-[A-Za-z0-9.-]+$/);
    const known = new Set(['SPDXRef-DOCUMENT', ...ids]);
    const relationships = spdx.relationships as Record<string, string>[];
    for (const { spdxElementId = '', relatedSpdxElement = '' } of relationships) {
      expect([known.has(spdxElementId), known.has(relatedSpdxElement)]).toEqual([true, true]);
    }
    expect(relationships.filter(({ relationshipType }) => relationshipType === 'DEPENDS_ON')).toHaveLength(2);
    const declared = JSON.stringify((spdx.packages as Json[]).map(({ licenseDeclared }) => licenseDeclared));
    const used = new Set(declared.match(/LicenseRef-[A-Za-z0-9.-]+/g));
    const defined = (spdx.hasExtractedLicensingInfos as { licenseId: string }[]).map(({ licenseId }) => licenseId);
    expect(used.size).toBeGreaterThan(0);
    expect(new Set(defined)).toEqual(used);
  });

  test('name each gap with its number and examples', () => {
    const gaps = [
      ['acr-promoter:gap:layer-elsewhere', '1'],
      ['acr-promoter:gap:layer-elsewhere:example', 'layer sha256:1'],
      ['acr-promoter:gap:unowned-binaries', '2'],
      ['acr-promoter:gap:unowned-binaries:example', 'opt/a'],
      ['acr-promoter:gap:unowned-binaries:example', 'opt/b'],
    ];
    const { properties } = cyclonedx.metadata as { properties: { name: string; value: string }[] };
    expect(properties.slice(2).map(({ name, value }) => [name, value])).toEqual(gaps);
    expect((spdx.annotations as { comment: string }[]).map(({ comment }) => comment)).toEqual([
      'acr-promoter:aggregate: incomplete',
      'acr-promoter:covered: dpkg',
      'acr-promoter:covered: npm',
      ...gaps.map((pair) => pair.join(': ')),
    ]);
  });

  test('have the same bytes whatever the order of the packages', () => {
    expect(documentsOf(RICH_PACKAGES.toReversed()).bytes).toEqual(documentsOf(RICH_PACKAGES).bytes);
  });
});

test.each<[string, [GapCause, string][]]>([
  ['complete', []],
  ['incomplete', [['entry-skipped', 'one']]],
])('an image is %s with the gaps %j', (aggregate, gaps) => {
  const { cyclonedx, spdx } = documentsOf(RICH_PACKAGES, gaps);
  expect(cyclonedx.compositions).toMatchObject([{ aggregate }, { aggregate: 'unknown' }]);
  expect(spdx.annotations).toContainEqual(
    expect.objectContaining({ comment: `acr-promoter:aggregate: ${aggregate}`, annotationType: 'OTHER' }),
  );
});

test('documents without packages are valid', () => {
  const { cyclonedx, spdx } = documentsOf([]);
  expect(cycloneDxErrors(cyclonedx)).toEqual([]);
  expect(spdx.packages).toHaveLength(2);
});
