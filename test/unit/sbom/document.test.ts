import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { cycloneDxErrors } from '../../support/sbom-schemas.js';
import { gzipped, layerOf, npmPackage, sbomOf, tarOf, type Result } from '../../support/sbom-image.js';

function expectValid({ document }: Result): void {
  expect(cycloneDxErrors(document)).toEqual([]);
}

/** One layer with one package for each license field. */
async function licensed(...fields: object[]): Promise<Result> {
  return sbomOf([
    await layerOf(...fields.map((field, index) => npmPackage(`node_modules/p${index}`, `p${index}`, '1.0.0', field))),
  ]);
}

describe('the document', () => {
  test('is valid CycloneDX 1.6 with all possible content', async () => {
    const result = await sbomOf([
      await layerOf(
        ['var/lib/dpkg/status', 'Package: bash\nStatus: install ok installed\nVersion: 5.2-2\nArchitecture: amd64\n'],
        ['lib/apk/db/installed', 'P:musl\n'],
        npmPackage('node_modules/@a/b', '@a/b', '1.0.0-rc.1+x', { license: '(MIT OR Apache-2.0)' }),
        npmPackage('node_modules/c', 'c', '1.0.0', { license: 'SEE LICENSE IN file' }),
        npmPackage('node_modules/d', 'd', '1.0.0', { licenses: [{ type: 'MIT', url: 'x' }, { type: 'own' }] }),
        npmPackage('node_modules/e', 'e\ud800 ﷽/\u0000', '??&&##', { license: 'UNLICENSED' }),
      ),
    ]);
    expectValid(result);
    expect(result.document.components).toHaveLength(5);
  });

  test('the validator of these tests refuses content that is not in the schema', async () => {
    const { document } = await sbomOf([]);
    expect(cycloneDxErrors({ ...document, compositions: [{ aggregate: 'mostly' }] })).not.toEqual([]);
    expect(cycloneDxErrors({ ...document, extra: 1 })).not.toEqual([]);
  });

  test('has the image as its root component, which depends on every component', async () => {
    const result = await sbomOf(
      [await layerOf(npmPackage('node_modules/a', 'a', '1.0.0'), npmPackage('node_modules/b', 'b', '2.0.0'))],
      { config: { architecture: 'arm64', os: 'linux', created: '2024-05-06T07:08:09.123456789Z' } },
    );
    expectValid(result);
    const root = result.document.metadata.component;
    expect(root).toMatchObject({ type: 'container', name: 'registry.example:5000/samples/app' });
    expect(root.version).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(root.purl).toBe(
      `pkg:oci/app@${root.version}?arch=arm64&repository_url=registry.example%3A5000%2Fsamples%2Fapp`,
    );
    expect(result.document.dependencies[0]).toEqual({
      ref: root['bom-ref'],
      dependsOn: ['pkg:npm/a@1.0.0', 'pkg:npm/b@2.0.0'],
    });
    expect(result.document.metadata.timestamp).toBe('2024-05-06T07:08:09Z');
    expect(result.created).toBe('2024-05-06T07:08:09Z');
  });

  test.each([
    ['absent', {}],
    ['no date', { created: 'yesterday' }],
    ['without a time zone', { created: '2024-05-06T07:08:09' }],
    ['before the epoch', { created: '0001-01-01T00:00:00Z' }],
    ['no text', { created: 12 }],
    ['in no object', []],
  ])('a created time that is %s becomes 1970-01-01', async (_, config) => {
    const result = await sbomOf([], { config });
    expectValid(result);
    expect(result.created).toBe('1970-01-01T00:00:00Z');
  });

  test('the same image gives the same bytes for any chunks; another image has another serial number', async () => {
    const layers = [
      await layerOf(npmPackage('node_modules/b', 'b', '1.0.0'), npmPackage('node_modules/a', 'a', '1.0.0')),
      await layerOf(npmPackage('app/node_modules/b', 'b', '1.0.0')),
    ];
    const one = await sbomOf(layers);
    const other = await sbomOf(layers, { chunkBytes: 7 });
    expect(Buffer.compare(one.bytes, other.bytes)).toBe(0);
    expect(one.document.serialNumber).toMatch(/^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-/);
    const third = await sbomOf(layers.slice(1));
    expect(third.document.serialNumber).not.toBe(one.document.serialNumber);
  });

  test('does not depend on the order of the archive', async () => {
    const entries = ['zebra', 'apple', 'Mango', 'mango', '@x/y'].map((name) =>
      npmPackage(`node_modules/${name}`, name, '1.0.0'),
    );
    const one = await sbomOf([await layerOf(...entries)]);
    const other = await sbomOf([await layerOf(...entries.toReversed())]);
    const withoutDigests = (result: Result): unknown => [
      result.purls,
      result.document.components.map(({ evidence }) => evidence.occurrences.map(({ location }) => location)),
    ];
    expect(withoutDigests(one)).toEqual(withoutDigests(other));
  });

  test('lists a package in several places once, with all places and layers', async () => {
    const lower = gzipped(await tarOf([npmPackage('app/node_modules/a', 'a', '1.0.0')]));
    const upper = gzipped(await tarOf([npmPackage('lib/node_modules/a', 'a', '1.0.0')]));
    const result = await sbomOf([lower, upper]);
    expectValid(result);
    expect(result.document.components).toHaveLength(1);
    const [first, second] = result.document.components[0]?.evidence.occurrences ?? [];
    expect(first?.location).toBe('/app/node_modules/a/package.json');
    expect(second?.location).toBe('/lib/node_modules/a/package.json');
    expect(first?.additionalContext).toMatch(/^layer sha256:[0-9a-f]{64}$/);
    expect(first?.additionalContext).not.toBe(second?.additionalContext);
  });

  test('lists two packages with the same package URL as two components', async () => {
    const result = await sbomOf([
      await layerOf(npmPackage('node_modules/Json', 'Json', '1.0.0'), npmPackage('node_modules/json', 'json', '1.0.0')),
    ]);
    expectValid(result);
    expect(result.document.components.map(({ name }) => name)).toEqual(['Json', 'json']);
    expect(new Set(result.document.components.map((component) => component['bom-ref'])).size).toBe(2);
    expect(result.counts).toEqual({ npm: 2 });
  });

  test('names the version in package.json', async () => {
    const { tool } = await sbomOf([]);
    const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as { name: string; version: string };
    expect(tool).toBe(`${manifest.name}/${manifest.version}`);
  });
});

describe('licenses', () => {
  test.each<[string, object, unknown]>([
    ['an SPDX id', { license: 'MIT' }, [{ license: { id: 'MIT', acknowledgement: 'declared' } }]],
    [
      'an expression',
      { license: 'MIT AND (ISC OR 0BSD)' },
      [{ expression: 'MIT AND (ISC OR 0BSD)', acknowledgement: 'declared' }],
    ],
    [
      'free text',
      { license: 'do as you like' },
      [{ license: { name: 'do as you like', acknowledgement: 'declared' } }],
    ],
    [
      'the shape of 2012',
      { license: { type: 'ISC', url: 'x' } },
      [{ license: { id: 'ISC', acknowledgement: 'declared' } }],
    ],
    [
      'a list',
      { licenses: [{ type: 'MIT' }, 'MIT OR ISC'] },
      [{ expression: 'MIT AND (MIT OR ISC)', acknowledgement: 'declared' }],
    ],
    ['none', {}, undefined],
    ['none that is text', { license: 7 }, undefined],
  ])('%s', async (_, field, expected) => {
    const result = await licensed(field);
    expectValid(result);
    expect(result.document.components[0]?.licenses).toEqual(expected);
  });
});

describe('content that could not be read', () => {
  test('is named and makes the composition incomplete', async () => {
    const result = await sbomOf([
      await layerOf(
        ['var/lib/pacman/local/bash-5.2-1/desc', '%NAME%'],
        ['opt/conda/conda-meta/b-1.json', '{}'],
        ['opt/conda/conda-meta/a-1.json', '{}'],
        npmPackage('node_modules/a', 'a', '1.0.0'),
      ),
    ]);
    expectValid(result);
    const root = result.document.metadata.component['bom-ref'];
    expect(result.gapCounts).toMatchObject([{ cause: 'no-reader', count: 3 }]);
    expect(result.document.compositions).toEqual([
      { aggregate: 'incomplete', assemblies: [root] },
      { aggregate: 'unknown', dependencies: [root] },
    ]);
    const properties = result.document.metadata.properties ?? [];
    expect(properties.filter(({ name }) => name.startsWith('acr-promoter:gap'))).toEqual([
      { name: 'acr-promoter:gap:no-reader', value: '3' },
      { name: 'acr-promoter:gap:no-reader:example', value: 'no reader for conda (opt/conda/conda-meta/a-1.json)' },
      { name: 'acr-promoter:gap:no-reader:example', value: 'no reader for conda (opt/conda/conda-meta/b-1.json)' },
      {
        name: 'acr-promoter:gap:no-reader:example',
        value: 'no reader for pacman (var/lib/pacman/local/bash-5.2-1/desc)',
      },
    ]);
    expect(properties).toContainEqual({ name: 'acr-promoter:covered', value: 'npm' });
  });

  test('is empty for an image of packages, whose composition is complete', async () => {
    const { document, gaps } = await sbomOf([await layerOf(npmPackage('node_modules/a', 'a', '1.0.0'))]);
    expect(gaps).toEqual([]);
    expect(document.compositions).toMatchObject([{ aggregate: 'complete' }, {}]);
  });
});
