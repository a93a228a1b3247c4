import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { digestOf } from '../../../src/oci/index.js';
import { pythonCataloger } from '../../../src/sbom/catalogers/python.js';
import { layerFile } from '../../support/layer-file.js';
import { propertyRuns } from '../../support/property-runs.js';

const LAYER = digestOf(Buffer.from('a layer'));
const SITE = 'usr/lib/python3.12/site-packages';

async function readAll(files: Record<string, string>) {
  const paths = Object.keys(files).toSorted();
  const found = await Promise.all(
    paths
      .filter((path) => pythonCataloger.wants(path))
      .map(async (path) => ({
        path,
        layer: LAYER,
        reading: await pythonCataloger.read(layerFile(files[path] ?? '')),
      })),
  );
  const joined = pythonCataloger.combine?.(found, { has: () => true }) ?? { packages: [] };
  const own = found.flatMap(({ path, reading }) => (reading.gaps ?? []).map((gap) => ({ ...gap, path })));
  return { packages: joined.packages, gaps: [...own, ...(joined.gaps ?? [])] };
}

const METADATA = `Metadata-Version: 2.4
Name: Demo.Package
Version: 1.2.3
Author-email: "A. Person" <a@example.com>, B <b@example.com>
Requires-Dist: Other_Thing>=1
Requires-Dist: only.on.windows; sys_platform == "win32"
Requires-Dist: for-tests[all]>=2; extra == 'test'
License-Expression: Apache-2.0 OR MIT
Classifier: License :: OSI Approved :: MIT License

Name: not-a-header
`;

describe('the python cataloger', () => {
  test('reads name, version, license, supplier, requirements and files of a wheel', async () => {
    const record = [
      'demo/__init__.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0',
      `demo/_native.so,sha256=${Buffer.alloc(32, 0xcd).toString('base64url')},12`,
      '"demo/odd,""name"".so",,',
      `../../../bin/demo,sha256=${Buffer.alloc(32, 0xab).toString('base64url')},210`,
      '../../../bin/without-digest,sha256=abc,3',
      `/etc/demo.bin,sha256=${Buffer.alloc(32, 0xab).toString('base64url')},3`,
      'demo-1.2.3.dist-info/RECORD,,',
      '',
    ].join('\n');
    const { packages, gaps } = await readAll({
      [`${SITE}/demo-1.2.3.dist-info/METADATA`]: METADATA,
      [`${SITE}/demo-1.2.3.dist-info/RECORD`]: record,
    });
    expect(gaps).toEqual([]);
    expect(packages).toEqual([
      {
        type: 'pypi',
        name: 'Demo.Package',
        version: '1.2.3',
        licenses: ['Apache-2.0 OR MIT'],
        supplier: 'A. Person',
        dependsOn: ['other-thing', 'only-on-windows'],
        provides: ['demo-package'],
        owns: [
          './',
          '../demo/_native.so',
          '../demo/odd,"name".so',
          '../../../../bin/demo',
          '../demo-1.2.3.dist-info/RECORD',
        ],
        digests: ['', 'cd'.repeat(20), '', 'ab'.repeat(20), ''],
        path: `${SITE}/demo-1.2.3.dist-info/METADATA`,
        layer: LAYER,
      },
    ]);
  });

  test('reads egg-info as a folder, with its requirements and installed files, and as a file', async () => {
    const { packages, gaps } = await readAll({
      [`${SITE}/old.egg-info/PKG-INFO`]: 'Metadata-Version: 1.2\nName: old\nVersion: 0.1\n',
      [`${SITE}/old.egg-info/requires.txt`]: '\nsix>=1,<2\n\n[docs]\nsphinx\n\n[:python_version < "3"]\nfutures\n',
      [`${SITE}/old.egg-info/installed-files.txt`]: '../old/_c.so\n../old/__init__.py\nPKG-INFO\n',
      [`${SITE}/single-2.0.egg-info`]: 'Metadata-Version: 1.0\nName: single\nVersion: 2.0\n',
      [`${SITE}/zipped-3.0-py3.8.egg/EGG-INFO/PKG-INFO`]: 'Name: zipped\nVersion: 3.0\n',
    });
    expect(gaps).toEqual([]);
    expect(packages.map(({ name, version, dependsOn, owns }) => ({ name, version, dependsOn, owns }))).toEqual([
      {
        name: 'old',
        version: '0.1',
        dependsOn: ['six', 'futures'],
        owns: ['./', '../old/_c.so', './PKG-INFO'],
      },
      { name: 'single', version: '2.0', dependsOn: undefined, owns: undefined },
      { name: 'zipped', version: '3.0', dependsOn: undefined, owns: ['./'] },
    ]);
  });

  test.each([
    'a.dist-info/PKG-INFO',
    'a.egg-info/METADATA',
    'a-1.0.Dist-Info/METADATA',
    'a.EGG-INFO/PKG-INFO',
    'a.egg/egg-info/PKG-INFO',
    'a-1.0.Egg-Info',
  ])('finds metadata in %s, as importlib.metadata', async (path) => {
    const { packages, gaps } = await readAll({ [`${SITE}/${path}`]: METADATA });
    expect(packages.map(({ name }) => name)).toEqual(['Demo.Package']);
    expect(gaps).toEqual([]);
  });

  test('reads no PKG-INFO beside METADATA', async () => {
    const { packages } = await readAll({
      [`${SITE}/a.egg-info/METADATA`]: METADATA,
      [`${SITE}/a.egg-info/PKG-INFO`]: METADATA.replace('Demo.Package', 'other'),
    });
    expect(packages.map(({ name }) => name)).toEqual(['Demo.Package']);
  });

  test('takes the name of the installer for no requirement', async () => {
    const { packages, gaps } = await readAll({
      'a.dist-info/METADATA': 'Name: a\nVersion: 1\n',
      'a.dist-info/INSTALLER': 'pip\n',
    });
    expect([packages[0]?.dependsOn, gaps]).toEqual([undefined, []]);
  });

  test.each([
    ['License: MIT\nClassifier: License :: OSI Approved', ['MIT']],
    ['License: BSD\nClassifier: License :: OSI Approved :: BSD License', ['BSD']],
    ['License: whatever\nClassifier: License :: OSI Approved :: Apache Software License', ['Apache-2.0']],
    ['License: UNKNOWN\nClassifier: License :: Other/Proprietary License', ['Other/Proprietary License']],
    ['License: Copyright (c) 2020 A. Person\n  All rights reserved.', undefined],
    ['License: MIT License\n  \n  Copyright (c) 2020 A. Person', ['MIT License']],
    [
      'Classifier: License :: OSI Approved :: MIT License\nClassifier: License :: OSI Approved :: ISC License (ISCL)',
      ['MIT', 'ISC'],
    ],
    ['Classifier: Topic :: Software Development', undefined],
  ])('%j means the licenses %j', async (headers, licenses) => {
    const { packages } = await readAll({ [`${SITE}/a.dist-info/METADATA`]: `Name: a\nVersion: 1\n${headers}\n` });
    expect(packages[0]?.licenses).toEqual(licenses);
  });

  test.each([
    ['no version', { 'a.dist-info/METADATA': 'Metadata-Version: 2.1\nName: a\n' }],
    ['a version in the description only', { 'a.dist-info/METADATA': 'Name: a\n\nVersion: 1\n' }],
    ['a name without end', { 'a.dist-info/METADATA': `Name: ${'x'.repeat(2000)}\nVersion: 1\n` }],
    ['nothing', { 'a.dist-info/METADATA': '' }],
    ['blanks', { 'a.egg-info': ' \n \n' }],
    ['a list where the metadata should be', { 'a.egg-info/PKG-INFO': 'a/b.py,,\n' }],
    ['a list of files without metadata', { 'a.dist-info/RECORD': 'a/b.py,,\n' }],
    ['only the name of the installer', { 'a.dist-info/INSTALLER': 'pip\n' }],
    ['the installer and a list', { 'a.dist-info/INSTALLER': 'pip\n', 'a.dist-info/RECORD': 'a/b.py,,\n' }],
  ] as [string, Record<string, string>][])('%s is a gap', async (_, files) => {
    const { packages, gaps } = await readAll(files);
    expect(packages).toEqual([]);
    expect(gaps).toEqual([{ cause: 'database-unreadable', detail: expect.any(String), path: Object.keys(files)[0] }]);
  });

  test('a byte order mark and Windows line ends do no harm', async () => {
    const { packages } = await readAll({ 'a.dist-info/METADATA': '\ufeffName: a\r\nVersion: 1\r\n\r\nVersion: 2\r\n' });
    expect(packages).toEqual([expect.objectContaining({ name: 'a', version: '1' })]);
  });

  test('lines of a list that name no file are counted', async () => {
    const { gaps } = await readAll({
      'a.dist-info/METADATA': 'Name: a\nVersion: 1\n',
      'a.dist-info/RECORD': 'a.so,,\nno comma\n\0\n',
    });
    expect(gaps).toEqual([
      { cause: 'entry-skipped', detail: '2 lines that name no file and no package', path: 'a.dist-info/RECORD' },
    ]);
  });

  test.each(['METADATA', 'a/METADATA', 'a.dist-info/top_level.txt', 'a.dist-info/x/METADATA', 'PKG-INFO', 'egg-info'])(
    'does not read %s',
    (path) => expect(pythonCataloger.wants(path)).toBe(false),
  );

  test('reads any lines without an error, and twice the same', async () => {
    const line = fc.oneof(
      fc.constantFrom(
        ...METADATA.split('\n'),
        'a/b.so,sha256=x,1',
        '"a,b",,',
        '../a.so',
        '[x:y]',
        ' more',
        '\r',
        '\ufeff',
      ),
      fc.string({ maxLength: 40 }),
    );
    const end = fc.constantFrom('\n', '\r\n', '', '\0', ',');
    const text = fc.array(
      fc.tuple(line, end).map((parts) => parts.join('')),
      { maxLength: 12 },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(text, { maxLength: 4 }), async (texts) => {
        const names = ['METADATA', 'RECORD', 'PKG-INFO', 'requires.txt'];
        const files = Object.fromEntries(
          texts.map((lines, at) => [`a.${at < 2 ? 'dist' : 'egg'}-info/${names[at]}`, lines.join('')]),
        );
        const once = await readAll(files);
        expect(await readAll(files)).toEqual(once);
        expect(structuredClone(once)).toEqual(once);
        // What describes a package is a package or a gap, never nothing.
        const metadata = Object.keys(files).filter((path) => /METADATA|PKG-INFO/.test(path));
        const named = [...once.packages, ...once.gaps].map(({ path }) => path);
        expect(named).toEqual(expect.arrayContaining(metadata));
      }),
      { numRuns: propertyRuns(20_000, 300) },
    );
  });
});
