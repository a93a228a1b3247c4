import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { phpCataloger } from '../../../src/sbom/catalogers/php.js';
import { layerFile } from '../../support/layer-file.js';
import { propertyRuns } from '../../support/property-runs.js';

const MONOLOG = {
  name: 'monolog/monolog',
  version: '3.5.0',
  version_normalized: '3.5.0.0',
  dist: { type: 'zip', url: 'https://example.com/', reference: 'c915', shasum: '' },
  require: { php: '>=8.1', 'ext-json': '*', 'psr/log': '^2.0 || ^3.0' },
  provide: { 'psr/log-implementation': '3.0.0' },
  license: ['MIT'],
  'install-path': '../monolog/monolog',
};
const LOG = { name: 'psr/log', version: 'v3.0.0', license: 'MIT', dist: { shasum: '0'.repeat(40) } };

async function read(content: unknown): Promise<unknown> {
  return phpCataloger.read(layerFile(typeof content === 'string' ? content : JSON.stringify(content)));
}

const PACKAGES = [
  {
    type: 'composer',
    namespace: 'monolog',
    name: 'monolog',
    version: '3.5.0',
    provides: ['monolog/monolog', 'psr/log-implementation'],
    licenses: ['MIT'],
    dependsOn: ['psr/log'],
    owns: ['../monolog/monolog/'],
  },
  {
    type: 'composer',
    namespace: 'psr',
    name: 'log',
    version: 'v3.0.0',
    provides: ['psr/log'],
    licenses: ['MIT'],
    hashes: [{ algorithm: 'SHA-1', hex: '0'.repeat(40) }],
    owns: ['../psr/log/'],
  },
];

describe('installed.json', () => {
  test.each([
    ['2', { packages: [MONOLOG, LOG], dev: true, 'dev-package-names': [] }],
    ['1', [MONOLOG, LOG]],
  ])('of Composer %s is read', async (_, content) => {
    expect(await read(content)).toEqual({ packages: PACKAGES });
  });

  test.each(['/etc', '../..', '../other/package'])(
    'owns only its folder in vendor, wherever %j leads',
    async (path) => {
      const { packages } = (await read([{ ...LOG, 'install-path': path }])) as { packages: { owns?: string[] }[] };
      expect(packages.map(({ owns }) => owns)).toEqual([['../psr/log/']]);
    },
  );

  test('owns nothing as a metapackage', async () => {
    const { packages } = (await read([{ ...LOG, 'install-path': null }])) as { packages: { owns?: string[] }[] };
    expect(packages.map(({ owns }) => owns)).toEqual([undefined]);
  });

  test('with packages without name or version names how many', async () => {
    expect(
      await read([
        null,
        {},
        { name: 'a/b' },
        { name: 'a/b', version: 1 },
        { version: '1' },
        { name: 'a/', version: '1' },
      ]),
    ).toEqual({
      packages: [],
      gaps: [{ cause: 'entry-skipped', detail: '6 packages without a usable name or version' }],
    });
  });

  test.each([
    ['is not JSON', '<?php', 'an installed.json that is not JSON'],
    ['nests too deep', '['.repeat(20_000), 'an installed.json that nests too deep'],
    ['has no packages', { packages: {} }, 'an installed.json without packages'],
  ])('that %s is a gap', async (_, content, detail) => {
    expect(await read(content)).toEqual({ gaps: [{ cause: 'database-unreadable', detail }] });
  });

  test('is found in any vendor folder', () => {
    for (const path of ['var/www/vendor/composer/installed.json', 'lib/composer/installed.json']) {
      expect(phpCataloger.wants(path)).toBe(true);
    }
    for (const path of ['installed.json', 'xcomposer/installed.json', 'vendor/composer/installed.php']) {
      expect(phpCataloger.wants(path)).toBe(false);
    }
  });
});

test('any JSON is read without an error, twice with the same result', async () => {
  const value = fc.oneof(fc.jsonValue({ maxDepth: 1 }), fc.constantFrom('a/b', '1.0', null));
  const key = fc.constantFrom('name', 'version', 'license', 'dist', 'require', 'replace', 'install-path');
  await fc.assert(
    fc.asyncProperty(fc.array(fc.dictionary(key, value)), async (content) => {
      const once = await read(content);
      expect(await read(content)).toEqual(once);
      expect(structuredClone(once)).toEqual(once);
    }),
    { numRuns: propertyRuns(20_000, 200) },
  );
});
