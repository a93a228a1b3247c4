import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { zstdCompressSync } from 'node:zlib';
import type { FoundFile, LocatedPackage } from '../../../src/sbom/catalogers/cataloger.js';
import { dpkgCataloger } from '../../../src/sbom/catalogers/dpkg.js';
import { layerFile } from '../../support/layer-file.js';
import { propertyRuns } from '../../support/property-runs.js';

type Files = Record<string, string | Uint8Array>;
type Facts = NonNullable<Awaited<ReturnType<typeof dpkgCataloger.read>>['facts']>;

/** What the cataloger says of an image with these files. `links` lead to files of other names. */
async function catalog(files: Files, links: string[] = []): Promise<{ packages: LocatedPackage[]; gaps: string[] }> {
  const found: FoundFile<Facts>[] = [];
  for (const [path, content] of Object.entries(files).sort(([one], [other]) => (one < other ? -1 : 1))) {
    if (!dpkgCataloger.wants(path)) throw new Error(`${path} is not wanted`);
    found.push({ path, layer: `sha256:${'0'.repeat(64)}`, reading: await dpkgCataloger.read(layerFile(content)) });
  }
  const has = (path: string): boolean => path in files || links.includes(path);
  const { packages = [], gaps = [] } = dpkgCataloger.combine?.(found, { has }) ?? {};
  return { packages, gaps: gaps.map(({ cause, detail, path }) => `${cause}: ${detail} (${path})`) };
}

const STATUS = 'var/lib/dpkg/status';
const INSTALLED = 'Status: install ok installed\n';
const entry = (name: string, more = '', version = '1.0-1'): string =>
  `Package: ${name}\n${INSTALLED}Architecture: amd64\nVersion: ${version}\n${more}\n`;
const dep5 = (...paragraphs: string[]): string =>
  ['Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/', ...paragraphs].join('\n\n');
const ownsOf = (packages: LocatedPackage[]): (string[] | undefined)[] => packages.map(({ owns }) => owns);
const licensesOf = (packages: LocatedPackage[]): (string[] | undefined)[] => packages.map(({ licenses }) => licenses);

describe('a package', () => {
  test('has what the database states of it', async () => {
    const more =
      'Source: glibc (2.36-9)\nMaintainer: GNU Libc Maintainers <debian-glibc@lists.debian.org>\n' +
      'Pre-Depends: libcrypt1 (>= 1:4.4.10)\nDepends: libgcc-s1, mta | exim4:any (>= 1) [amd64],libgcc-s1 (<< 99)\n' +
      'Provides: libc-dev (= 2.36), awk\nRecommends: no\nDescription: x\n Depends: no\n';
    const { packages, gaps } = await catalog({ [STATUS]: entry('libc6', more, '2.36-9+b1') });
    expect(gaps).toEqual([]);
    expect(packages).toEqual([
      {
        type: 'deb',
        name: 'libc6',
        version: '2.36-9+b1',
        qualifiers: { arch: 'amd64' },
        supplier: 'GNU Libc Maintainers <debian-glibc@lists.debian.org>',
        source: { name: 'glibc', version: '2.36-9' },
        dependsOn: ['libcrypt1', 'libgcc-s1', 'mta', 'exim4'],
        provides: ['libc-dev', 'awk'],
        path: STATUS,
        layer: `sha256:${'0'.repeat(64)}`,
      },
    ]);
  });

  test('may have a source of the same version, and dependencies on several lines', async () => {
    const { packages } = await catalog({
      [STATUS]: entry('a', 'Source: b\nDepends: c,\n d (>= 1),\n\te\nProvides:\n f\n'),
    });
    expect(packages[0]).toMatchObject({
      source: { name: 'b', version: '1.0-1' },
      dependsOn: ['c', 'd', 'e'],
      provides: ['f'],
    });
  });

  test.each([
    ['Install OK Installed', 1],
    ['installokinstalled', 1],
    ['install  reinstreq\tHALF-CONFIGURED', 1],
    ['deinstall ok CONFIG-FILES', 0],
    ['purge ok not-installed', 0],
    ['install reinstreq half-installed', 0],
  ])('has the status %j as dpkg reads it', async (status, packages) => {
    const { packages: found, gaps } = await catalog({
      [STATUS]: entry('a').replace(INSTALLED, `Status: ${status}\n`),
    });
    expect(found).toHaveLength(packages);
    expect(gaps).toEqual([]);
  });

  test.each(['install ok', 'install ok\n installed', 'install ok installed x', 'install ok present', ''])(
    'with the status %j is a gap',
    async (status) => {
      const { packages, gaps } = await catalog({
        [STATUS]: `${entry('a').replace(INSTALLED, `Status: ${status}\n`)}${entry('b')}`,
      });
      expect(packages.map(({ name }) => name)).toEqual(['b']);
      expect(gaps).toEqual([`entry-skipped: 1 entries with an unknown status (${STATUS})`]);
    },
  );

  test('with dependencies that are too long is listed without them, and they are a gap', async () => {
    const { packages, gaps } = await catalog({ [STATUS]: entry('a', `Depends: ${'b, '.repeat(40_000)}\n`) });
    expect(packages.map(({ name, dependsOn }) => ({ name, dependsOn }))).toEqual([{ name: 'a', dependsOn: undefined }]);
    expect(gaps).toEqual([`entry-skipped: 1 lists of dependencies that are too long (${STATUS})`]);
  });
});

describe('files', () => {
  test('are those of its list, for each architecture, without folders', async () => {
    const { packages, gaps } = await catalog({
      [STATUS]: `${entry('libc6')}${entry('libc6').replace('amd64', 'i386')}${entry('bash')}${entry('none')}`,
      'var/lib/dpkg/info/libc6:amd64.list': '/.\n/lib\n/lib/x86_64\n/lib/x86_64/libc.so.6\n/lib/x86_64-other\n',
      'var/lib/dpkg/info/libc6:i386.list': '/.\n/lib\n/lib/i386\n/lib/i386/libc.so.6\n',
      'var/lib/dpkg/info/bash.list': '/.\n/bin\n/bin/bash\n',
      'var/lib/dpkg/info/gone.list': '/.\n/bin\n/bin/gone\n',
    });
    expect(ownsOf(packages)).toEqual([
      ['/lib/x86_64/libc.so.6', '/lib/x86_64-other'],
      ['/lib/i386/libc.so.6'],
      ['/bin/bash'],
      undefined,
    ]);
    expect(gaps).toEqual([]);
  });

  test('that another package diverted have their other name', async () => {
    const { packages } = await catalog({
      [STATUS]: `${entry('libpq-dev')}${entry('postgresql-common')}`,
      'var/lib/dpkg/info/libpq-dev.list': '/.\n/usr/bin/pg_config\n/usr/bin/other\n',
      'var/lib/dpkg/info/postgresql-common.list': '/.\n/usr/bin/pg_config\n',
      'var/lib/dpkg/diversions': '/usr/bin/pg_config\n/usr/bin/pg_config.libpq-dev\npostgresql-common\n',
    });
    expect(ownsOf(packages)).toEqual([['/usr/bin/pg_config.libpq-dev', '/usr/bin/other'], ['/usr/bin/pg_config']]);
  });

  test('of images without dpkg are those with a checksum', async () => {
    const { packages, gaps } = await catalog({
      'var/lib/dpkg/status.d/base': 'Package: base-files\nVersion: 12\n',
      'var/lib/dpkg/status.d/base.md5sums':
        'd41d8cd98f00b204e9800998ecf8427e  usr/share/base\nd41d8cd98f00b204e9800998ecf8427e  usr/lib/os-release\n',
    });
    expect(ownsOf(packages)).toEqual([['/usr/share/base', '/usr/lib/os-release']]);
    expect(gaps).toEqual([]);
  });
});

describe('licences', () => {
  test('are those of the header and the files, in order, once', async () => {
    const { packages, gaps } = await catalog({
      [STATUS]: entry('a'),
      'usr/share/doc/a/copyright': dep5(
        'Files: *\nCopyright: x\nLicense: GPL-2+\n This is\n License: no',
        'Files: b\nLicense: Expat',
        'Files: c\nLicense: GPL-2+',
        'Files: d\nLicense: GPL-2 or MIT, and BSD-3-clause',
        'License: Apache-2.0\n text',
      ),
    });
    expect(licensesOf(packages)).toEqual([['GPL-2+', 'Expat', '(GPL-2 or MIT) and (BSD-3-clause)']]);
    expect(gaps).toEqual([]);
  });

  test('of a file with texts alone are those of the texts', async () => {
    const { packages } = await catalog({
      [STATUS]: entry('a'),
      'usr/share/doc/a/copyright': `\n${dep5('License: ISC\n text', 'License: Zlib')}`,
    });
    expect(licensesOf(packages)).toEqual([['ISC', 'Zlib']]);
  });

  const MIT =
    'Permission is hereby granted, free of charge, to any person obtaining a copy\n of this software and associated documentation files (the "Software"), to deal\n in the Software without restriction, including without limitation the rights\n to use, copy, modify, merge, publish, distribute, sublicense, and/or sell\n copies of the Software, and to permit persons to whom the Software is\n furnished to do so, subject to the following conditions:\n\n The above copyright notice and this permission notice shall be included in\n all copies or substantial portions of the Software.\n\n THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR';
  const COMMON = '/usr/share/common-licenses';
  test.each<[string, string, string[] | undefined]>([
    [
      'a version or any later one',
      'under the terms of the GNU General Public License as\n * published by the Free Software Foundation; either version 2 of the License, or\n * (at your option) any later version.',
      ['GPL-2+'],
    ],
    ['one version', 'distributed under the terms of the GNU General Public License, version 2.', ['GPL-2']],
    [
      'a version in brackets',
      'The overall license for libx is the GNU Lesser General Public\nLicense, version 2.1 (or, at your option, any later version); see the file',
      ['LGPL-2.1+'],
    ],
    [
      'a version before the name',
      'under version 3 of the GNU Affero General Public License or any later version',
      ['AGPL-3+'],
    ],
    ['short forms', 'licensed under the GNU Library General Public License (v2 or later)', ['LGPL-2+']],
    ['a plus', 'licensed under GNU General Public License (GPL) version 3+, and more', ['GPL-3+']],
    ['a version 2.0', 'under the GNU General Public License v2.0 or later', ['GPL-2+']],
    ['documentation', 'terms of the GNU Free Documentation License, Version 1.3 or any later version', ['GFDL-1.3+']],
    [
      'where its text is',
      `the complete text of the GNU General Public License version 2 can be found in \`${COMMON}/GPL-2'.`,
      [`${COMMON}/GPL-2`],
    ],
    [
      'where the text of a stated one is',
      `under the GNU General Public License, version 2 or later. See ${COMMON}/GPL-2. And ${COMMON}/LGPL.`,
      [`${COMMON}/LGPL`, 'GPL-2+'],
    ],
    ['where the text of another one is', `See ${COMMON}/Apache-2.0.\nSee "${COMMON}/BSD"`, ['Apache-2.0', 'BSD']],
    ['no name', `The texts are in ${COMMON}/ .`, undefined],
    ['another one in between', 'under the GNU General Public License and the Foo License version 2', undefined],
    ['the end of a sentence in between', 'under the GNU General Public License. Foo has version 2 or later', undefined],
    ['a mere mention', 'You should have received the GNU General Public License version 2 or later', undefined],
    ['the whole text of a known one', `It is free.\n\n ${MIT} IMPLIED`, ['Expat']],
    ['a part of a known text', MIT.slice(0, 600), undefined],
    ['nothing', 'All rights are reserved.', undefined],
  ])('of a text for people are what it names: %s', async (_, text, licenses) => {
    const copyright = `This package was debianized by me.\n\n${text}\n`;
    const { packages, gaps } = await catalog({ [STATUS]: entry('a'), 'usr/share/doc/a/copyright': copyright });
    expect(licensesOf(packages)).toEqual([licenses]);
    expect(gaps).toEqual([]);
  });

  test('of a text for people that is too long, or that names too many, are a gap', async () => {
    const gapsOf = async (text: string): Promise<string[]> =>
      (await catalog({ [STATUS]: entry('a'), 'usr/share/doc/a/copyright': text })).gaps;
    const license = `See ${COMMON}/MPL-2.0. `;
    expect(await gapsOf(`${license}${' x'.repeat(600_000)}`)).toEqual([
      'entry-skipped: 1 licences in a text that is too long (usr/share/doc/a/copyright)',
    ]);
    const many = Array.from({ length: 102 }, (_item, index) => `See ${COMMON}/L${index} `).join('');
    const beyond = 'too-many-licences: 1 licences of one package beyond the limit (usr/share/doc/a/copyright)';
    expect(await gapsOf(many)).toEqual([beyond]);
    const notices = 'too-many-licences: 1 licence notices of one package beyond the limit (usr/share/doc/a/copyright)';
    expect(await gapsOf(license + 'GNU License. '.repeat(10_001))).toEqual([notices]);
  });

  test('are not taken from a text that is another file of dpkg', async () => {
    const text = 'This package was debianized by me.\n\nLicense: GPL-2\n\nPackage: x\nVersion: 1\n';
    const { packages, gaps } = await catalog({ [STATUS]: entry('a'), 'usr/share/doc/a/copyright': text });
    expect(packages.map(({ name, licenses }) => [name, licenses])).toEqual([['a', undefined]]);
    expect(gaps).toEqual([]);
  });

  test('of a folder that is a link are those of a package with the same source', async () => {
    const files = {
      [STATUS]: `${entry('libx1', 'Source: x\n')}${entry('libx-dev', 'Source: x\n')}${entry('x', '')}${entry('y')}`,
      'usr/share/doc/libx1/copyright': dep5('Files: *\nLicense: Zlib'),
    };
    const links = ['usr/share/doc/libx-dev/copyright', 'usr/share/doc/y/copyright'];
    expect(licensesOf((await catalog(files, links)).packages)).toEqual([['Zlib'], ['Zlib'], undefined, undefined]);
  });

  test('beyond a hundred of one package are a gap', async () => {
    const many = Array.from({ length: 102 }, (_, index) => `Files: f${index}\nLicense: l${index}`);
    const { packages, gaps } = await catalog({ [STATUS]: entry('a'), 'usr/share/doc/a/copyright': dep5(...many) });
    expect(packages[0]?.licenses).toHaveLength(100);
    expect(gaps).toEqual(['too-many-licences: 2 licences of one package beyond the limit (usr/share/doc/a/copyright)']);
  });
});

describe("chisel's manifest", () => {
  const WALL = 'var/lib/chisel/manifest.wall';
  const wall = (entries: object[], count = entries.length + 1): Buffer =>
    zstdCompressSync(
      [{ jsonwall: '1.0', schema: '1.0', count }, ...entries].map((each) => `${JSON.stringify(each)}\n`).join(''),
    );
  const ENTRIES = [
    { kind: 'content', slice: 'libc6_libs', path: '/usr/lib/libc.so.6' },
    { kind: 'package', name: 'libc6', version: '2.39-0ubuntu8', sha256: 'ab'.repeat(32), arch: 'amd64' },
    { kind: 'package', name: 'openssl', version: '3.0.13-0ubuntu3', sha256: 'x', arch: 'amd64' },
    { kind: 'path', path: '/usr/lib/', mode: '0755', slices: ['libc6_libs', 'openssl_bins'] },
    { kind: 'path', path: '/usr/lib/libc.so.6', mode: '0755', slices: ['libc6_libs', 'libc6_all'], size: 9 },
    { kind: 'path', path: '/usr/bin/openssl', slices: ['openssl_bins', 'unknown_slice'] },
    { kind: 'slice', name: 'libc6_libs' },
  ];

  test('has packages, their files and hashes; licences are in their place', async () => {
    const { packages, gaps } = await catalog({
      [WALL]: wall(ENTRIES),
      'usr/share/doc/openssl/copyright': dep5('Files: *\nLicense: Apache-2.0'),
    });
    expect(packages).toMatchObject([
      {
        type: 'deb',
        name: 'libc6',
        version: '2.39-0ubuntu8',
        qualifiers: { arch: 'amd64' },
        hashes: [{ algorithm: 'SHA-256', hex: 'ab'.repeat(32) }],
        owns: ['/usr/lib/libc.so.6'],
        path: WALL,
      },
      { name: 'openssl', version: '3.0.13-0ubuntu3', owns: ['/usr/bin/openssl'], licenses: ['Apache-2.0'] },
    ]);
    expect(packages[1]).not.toHaveProperty('hashes');
    expect(gaps).toEqual([]);
  });

  test.each<[string, Buffer, string[]]>([
    ['that ends too early', wall(ENTRIES).subarray(0, 60), ['database-unreadable: the manifest is not whole']],
    ['with fewer lines than stated', wall(ENTRIES, 99), ['database-unreadable: the manifest is not whole']],
    [
      'that cannot be unpacked',
      Buffer.concat([wall([]).subarray(0, 5), Buffer.alloc(50, 0xff)]),
      ['database-unreadable: the manifest is not whole'],
    ],
    [
      'that unpacks to too much',
      zstdCompressSync(Buffer.alloc(70 * 1024 * 1024)),
      ['database-unreadable: the manifest is not whole'],
    ],
    [
      'with a package without a version',
      wall([{ kind: 'package', name: 'a' }]),
      ['entry-skipped: 1 entries without name or version'],
    ],
    ['with a line that is no object', wall([[]]), ['entry-skipped: 1 lines that are not JSON, or too long']],
  ])('%s is a gap', async (_, content, gaps) => {
    expect((await catalog({ [WALL]: content })).gaps).toEqual(gaps.map((gap) => `${gap} (${WALL})`));
  });
});

describe('content that is none', () => {
  test.each([STATUS, 'var/lib/dpkg/status.d/x', 'var/lib/chisel/manifest.wall', 'var/lib/dpkg/info/x.list'])(
    'in the place of %s is a gap, and an empty file is none',
    async (path) => {
      const gap = `database-unreadable: content of no known format (${path})`;
      expect(await catalog({ [path]: 'hello world\n' })).toEqual({ packages: [], gaps: [gap] });
      expect(await catalog({ [path]: Buffer.alloc(1000) })).toEqual({ packages: [], gaps: [gap] });
      expect(await catalog({ [path]: '' })).toEqual({ packages: [], gaps: [] });
    },
  );

  test('changes that dpkg did not merge are a gap', async () => {
    const { packages, gaps } = await catalog({ [STATUS]: entry('a'), 'var/lib/dpkg/updates/0000': entry('b') });
    expect(packages.map(({ name }) => name)).toEqual(['a']);
    expect(gaps).toEqual([
      'database-unreadable: changes that are not merged into the database (var/lib/dpkg/updates/0000)',
    ]);
  });

  test('packages in a file that is no database are not listed', async () => {
    const { packages, gaps } = await catalog({
      'var/lib/dpkg/info/x.list': entry('x'),
      'usr/share/doc/x/copyright': entry('y'),
    });
    expect(packages).toEqual([]);
    expect(gaps).toEqual(['database-unreadable: content of no known format (var/lib/dpkg/info/x.list)']);
  });

  test('is read without failing, and the same twice', async () => {
    const texts = [
      entry('a', 'Depends: b, c\n'),
      dep5('Files: *\nLicense: Zlib'),
      '/.\n/bin\n/bin/a\n',
      'under the GNU General Public License,\nversion 2\nor any later version\n/usr/share/common-licenses/GPL',
    ];
    const line = fc.oneof(fc.constantFrom(...texts.join('\n').split('\n')), fc.string({ maxLength: 30 }));
    const content = fc.oneof(
      fc.array(line, { maxLength: 20 }).map((lines) => Buffer.from(lines.join('\n'))),
      fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), bytes])),
    );
    const paths = [STATUS, 'usr/share/doc/a/copyright', 'var/lib/dpkg/info/a.list', 'var/lib/dpkg/diversions'] as const;
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...paths), content, async (path, bytes) => {
        const found = await catalog({ [path]: bytes });
        expect(await catalog({ [path]: bytes })).toEqual(found);
        for (const { name, version } of found.packages) expect([name, version]).not.toContain('');
      }),
      { numRuns: propertyRuns(20_000, 200) },
    );
  });
});
