import { describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { zstdCompressSync } from 'node:zlib';
import { numbers, rpmHeader, sqliteDatabase, text, texts } from '../../support/rpm-databases.js';
import { layerOf, npmPackage, sbomOf, type Entry } from '../../support/sbom-image.js';

const ELF = '\x7fELF\x02\x01\x01';
const ELF_SHA256 = createHash('sha256').update(ELF).digest('base64url');
const program = (path: string, content = ELF): Entry => [
  path,
  { mode: 0o755, size: Buffer.byteLength(content), content: Buffer.from(content) },
];
const link = (path: string, linkname: string): Entry => [path, { type: 'symlink', linkname }];
const hardLink = (path: string, linkname: string): Entry => [path, { type: 'link', linkname }];

/** An Alpine package and the files that belong to it. */
function apk(name: string, ...files: string[]): Entry[] {
  const owned = files.map(
    (path) => `F:${path.slice(0, Math.max(0, path.lastIndexOf('/')))}\nR:${path.slice(path.lastIndexOf('/') + 1)}\n`,
  );
  return [['lib/apk/db/installed', `P:${name}\nV:1-r0\nA:x86_64\n${owned.join('')}\n`]];
}

async function read(...layers: Entry[][]) {
  const { gaps, purls, document } = await sbomOf(await Promise.all(layers.map((entries) => layerOf(...entries))));
  return { gaps, purls, aggregate: document.compositions[0]?.aggregate };
}

async function unowned(...layers: Entry[][]): Promise<unknown> {
  return (await read(...layers)).gaps;
}

describe('an ELF file', () => {
  test.each<[string, Entry[], string[]]>([
    ['of no package is a gap', [program('opt/b'), program('opt/a')], ['opt/a', 'opt/b']],
    [
      'or a .NET assembly of no package is a gap',
      [
        program('app/a.dll', `MZ${'\0'.repeat(58)}\x80\0\0\0${'\0'.repeat(64)}PE\0\0`),
        program('app/b', 'MZ no program'),
      ],
      ['app/a.dll'],
    ],
    [
      'or a .NET assembly that a deps.json file lists is none',
      [
        [
          'app/a.deps.json',
          JSON.stringify({
            targets: { t: { 'a/1': { runtime: { 'lib/net8.0/a.dll': {} } } } },
            libraries: { 'a/1': { type: 'package' } },
          }),
        ],
        program('app/a.dll', `MZ${'\0'.repeat(58)}\x80\0\0\0${'\0'.repeat(64)}PE\0\0`),
      ],
      [],
    ],
    ['of a package of the distribution is none', [...apk('a', 'usr/bin/a'), program('usr/bin/a')], []],
    ['is found where a link leads', [...apk('a', 'bin/a'), link('bin', 'usr/bin'), program('usr/bin/a')], []],
    [
      'behind a link that a package owns belongs to nobody',
      [...apk('a', 'a'), link('a', 'opt/b'), program('opt/b')],
      ['opt/b'],
    ],
    ['belongs to a package if one of its names does', [...apk('a', 'z/a'), program('a'), hardLink('z/a', 'a')], []],
    ['with several names counts once', [program('bin/x'), hardLink('bin/a', 'bin/x')], ['bin/a']],
    [
      'of an npm package is none',
      [npmPackage('node_modules/a', 'a', '1.0.0'), program('node_modules/a/build/a.node')],
      [],
    ],
    [
      'beside an npm package is one',
      [npmPackage('node_modules/a', 'a', '1.0.0'), program('node_modules/b/a.node')],
      ['node_modules/b/a.node'],
    ],
    [
      'that RECORD lists is none',
      [
        ['v/lib/python3/site-packages/a.dist-info/METADATA', 'Name: a\nVersion: 1\n'],
        [
          'v/lib/python3/site-packages/a.dist-info/RECORD',
          `a/a.so,sha256=${ELF_SHA256},7\n../../../bin/a,sha256=${ELF_SHA256},7\na/c.so,sha256=${ELF_SHA256},7\n`,
        ],
        program('v/lib/python3/site-packages/a/a.so'),
        program('v/bin/a'),
        program('v/lib/python3/site-packages/a/b.so'),
        program('v/lib/python3/site-packages/a/c.so', `${ELF}changed`),
      ],
      ['v/lib/python3/site-packages/a/b.so', 'v/lib/python3/site-packages/a/c.so'],
    ],
    [
      'that RECORD lists outside of its Python is one',
      [
        ['v/lib/python3/site-packages/a.dist-info/METADATA', 'Name: a\nVersion: 1\n'],
        [
          'v/lib/python3/site-packages/a.dist-info/RECORD',
          [
            `../../../../opt/a,sha256=${ELF_SHA256},7`,
            `/srv/a,sha256=${ELF_SHA256},7`,
            '../../..//,,',
            '../../../bin/without-digest,,',
          ].join('\n'),
        ],
        program('opt/a'),
        program('srv/a'),
        program('v/bin/b'),
        program('v/bin/without-digest'),
      ],
      [
        'python: 1 lines that name no file and no package (v/lib/python3/site-packages/a.dist-info/RECORD)',
        'opt/a',
        'srv/a',
        'v/bin/b',
        'v/bin/without-digest',
      ],
    ],
    [
      'that pip installed with --target is none',
      [
        ['app/deps/a.dist-info/METADATA', 'Name: a\nVersion: 1\n'],
        ['app/deps/a.dist-info/RECORD', `a/a.so,sha256=${ELF_SHA256},7\n../../bin/a,sha256=${ELF_SHA256},7\n`],
        program('app/deps/a/a.so'),
        program('app/deps/bin/a'),
        program('bin/a'),
      ],
      ['bin/a'],
    ],
    [
      'that RECORD lists in the root is one',
      [
        ['a.dist-info/METADATA', 'Name: a\nVersion: 1\n'],
        ['a.dist-info/RECORD', `usr/bin/a,sha256=${ELF_SHA256},7\n`],
        program('usr/bin/a'),
      ],
      ['usr/bin/a'],
    ],
    [
      'of a Java runtime is none, in its folders',
      [
        ['opt/jdk/release', 'JAVA_VERSION="21"\n'],
        program('opt/jdk/bin/java'),
        program('opt/jdk/jre/bin/java'),
        program('opt/jdk/lib/server/libjvm.so'),
        program('opt/jdk/tool'),
        program('opt/jdk/other/tool'),
      ],
      ['opt/jdk/other/tool', 'opt/jdk/tool'],
    ],
    [
      'belongs to no package that claims folders of the system',
      [
        ['release', 'JAVA_VERSION="21"\n'],
        ['usr/release', 'JAVA_VERSION="21"\n'],
        ['usr/local/release', 'JAVA_VERSION="21"\n'],
        ['opt/release', 'JAVA_VERSION="21"\n'],
        ...[
          'bin/a',
          'lib/a',
          'usr/bin/a',
          'usr/lib/a',
          'usr/lib/x86_64-linux-gnu/a',
          'usr/local/bin/a',
          'opt/lib/a',
        ].map((path) => program(path)),
      ],
      ['bin/a', 'lib/a', 'opt/lib/a', 'usr/bin/a', 'usr/lib/a', 'usr/lib/x86_64-linux-gnu/a', 'usr/local/bin/a'],
    ],
    [
      'of a Composer package is none in its folder of vendor, and one where install-path leads',
      [
        [
          'app/vendor/composer/installed.json',
          JSON.stringify([
            { name: 'a/b', version: '1', 'install-path': '../a/b' },
            { name: 'c/d', version: '1', 'install-path': '../..' },
            { name: '../..', version: '1' },
          ]),
        ],
        program('app/vendor/a/b/x.so'),
        program('app/vendor/c/d/x.so'),
        program('app/vendor/bin/x'),
        program('app/x'),
      ],
      ['app/vendor/bin/x', 'app/x'],
    ],
    [
      'that a deps.json file lists outside of its folder is one',
      [
        [
          'app/a.deps.json',
          JSON.stringify({
            targets: {
              t: { 'a/1': { runtime: { 'a.dll': {} }, runtimeTargets: { '../usr/bin/a': {}, '../usr/': {} } } },
            },
            libraries: { 'a/1': { type: 'package' } },
          }),
        ],
        program('usr/bin/a'),
      ],
      ['usr/bin/a'],
    ],
  ])('%s', async (_, entries, paths) => {
    expect(await unowned(entries)).toEqual(paths);
  });

  test('that names what it contains is none', async () => {
    const busybox = `${ELF}${'x'.repeat(100_000)}BusyBox v1.36.1 (2024)`;
    const { purls, gaps, aggregate } = await read([program('bin/busybox', busybox), hardLink('bin/sh', 'bin/busybox')]);
    expect({ purls, gaps, aggregate }).toEqual({
      purls: ['pkg:generic/busybox@1.36.1'],
      gaps: [],
      aggregate: 'complete',
    });
  });

  test('from a layer above the package database is not the one that was installed', async () => {
    const installed = [...apk('a', 'usr/bin/a'), program('usr/bin/a')];
    expect(await unowned(installed, [program('usr/bin/a')])).toEqual(['usr/bin/a']);
    expect(await unowned(installed, [...apk('a', 'usr/bin/a'), program('usr/bin/a')])).toEqual([]);
    expect(await unowned(installed, [program('usr/bin/a')], apk('a', 'usr/bin/a'))).toEqual([]);
  });

  test('that replaced one of a Debian package belongs to it only if the package was installed again', async () => {
    const status: Entry = ['var/lib/dpkg/status', 'Package: a\nStatus: install ok installed\nVersion: 1\n'];
    const list: Entry = ['var/lib/dpkg/info/a.list', '/.\n/usr/bin\n/usr/bin/a\n'];
    const a = program('usr/bin/a');
    // Another package is installed later, which writes the database.
    expect(await unowned([status, list, a], [status])).toEqual([]);
    expect(await unowned([status, list, a], [a], [status])).toEqual(['usr/bin/a']);
    expect(await unowned([status, list, a], [a], [status, list, a])).toEqual([]);
  });

  test('belongs to no package of the distribution that lists its folder as a file', async () => {
    expect(await unowned([...apk('a', 'usr/bin/'), program('usr/bin/b')])).toEqual(['usr/bin/b']);
  });

  test('belongs to no Debian package because of its folder, which base-files lists', async () => {
    const status: Entry = ['var/lib/dpkg/status', 'Package: base-files\nStatus: install ok installed\nVersion: 12\n'];
    const list: Entry = ['var/lib/dpkg/info/base-files.list', '/.\n/home\n/usr\n/usr/bin\n/usr/sbin\n'];
    const copied = [program('usr/bin/tool'), npmPackage('home/app/node_modules/a', 'a', '1.0.0')];
    // A later installation writes the database again, above what was copied.
    expect(await read([status, list], copied, [status])).toEqual({
      purls: ['pkg:deb/debian/base-files@12', 'pkg:npm/a@1.0.0'],
      gaps: ['usr/bin/tool'],
      aggregate: 'incomplete',
    });
  });
});

describe('a file whose digest the database of the distribution has', () => {
  const hash = (algorithm: string, content: string): Buffer => createHash(algorithm).update(content).digest();
  const hex = (algorithm: string, content: string): string => hash(algorithm, content).toString('hex');
  const rpm = (digest: string) => (path: string, content: string) => [
    [
      'var/lib/rpm/rpmdb.sqlite',
      sqliteDatabase([
        rpmHeader([
          [1000, text('a')],
          [1001, text('1')],
          [1002, text('1')],
          [1035, texts(hex(digest, content))],
          [1116, numbers(0)],
          [1117, texts(path.slice(path.lastIndexOf('/') + 1))],
          [1118, texts(`/${path.slice(0, path.lastIndexOf('/') + 1)}`)],
        ]),
      ]),
    ] satisfies Entry,
  ];
  const apkOf = (checksum: (content: string) => string) => (path: string, content: string) => {
    const slash = path.lastIndexOf('/');
    const file = `F:${path.slice(0, slash)}\nR:${path.slice(slash + 1)}\nZ:${checksum(content)}\n`;
    return [['lib/apk/db/installed', `P:a\nV:1-r0\nA:x86_64\n${file}\n`] satisfies Entry];
  };
  const status: Entry = ['var/lib/dpkg/status', 'Package: a\nStatus: install ok installed\nVersion: 1\n'];
  const lines = (...objects: object[]): Buffer =>
    zstdCompressSync(Buffer.from(objects.map((each) => `${JSON.stringify(each)}\n`).join('')));

  const DATABASES: [string, (path: string, content: string) => Entry[]][] = [
    ['apk', apkOf((content) => `Q1${hash('sha1', content).toString('base64')}`)],
    ['apk 3', apkOf((content) => `Q1${hash('sha256', content).subarray(0, 20).toString('base64')}`)],
    ['apk with SHA-256', apkOf((content) => `Q2${hash('sha256', content).toString('base64')}`)],
    ['rpm', rpm('sha256')],
    ['rpm with MD5', rpm('md5')],
    [
      'dpkg',
      (path, content) => [
        status,
        ['var/lib/dpkg/info/a.list', `/.\n/${path}\n`],
        ['var/lib/dpkg/info/a.md5sums', `${hex('md5', content)}  ${path}\n`],
      ],
    ],
    [
      'distroless',
      (path, content) => [
        ['var/lib/dpkg/status.d/a', 'Package: a\nVersion: 1\n'],
        ['var/lib/dpkg/status.d/a.md5sums', `${hex('md5', content)}  ./${path}\n`],
      ],
    ],
    [
      'chisel',
      (path, content) => [
        [
          'var/lib/chisel/manifest.wall',
          lines(
            { jsonwall: '1.0', schema: '1.0', count: 3 },
            { kind: 'package', name: 'a', version: '1' },
            { kind: 'path', path: `/${path}`, slices: ['a_bins'], sha256: '0', final_sha256: hex('sha256', content) },
          ),
        ],
      ],
    ],
  ];

  test.each(DATABASES)('%s: is the one that was installed only if it has that digest', async (_, database) => {
    const installed = database('usr/bin/a', ELF);
    const other = program('usr/bin/a', `${ELF}other`);
    expect(await unowned([...installed, program('usr/bin/a')])).toEqual([]);
    expect(await unowned([...installed, other])).toEqual(['usr/bin/a']);
    // Another package is installed later, which writes the database.
    expect(await unowned([...installed, program('usr/bin/a')], [other], installed)).toEqual(['usr/bin/a']);
    // A later layer changes the owner or the mode.
    expect(await unowned([...installed, program('usr/bin/a')], [program('usr/bin/a')])).toEqual([]);
  });

  test.each(DATABASES)('%s: has that digest also where and when others are expected', async (_, database) => {
    for (const path of ['usr/bin/a', 'srv/a', 'usr/lib/node_modules/a.node', 'srv/node_modules/a.node']) {
      for (const hint of ['etc/apt/a', 'etc/apk/a', 'usr/lib/x86_64-linux-gnu/a', 'etc/a']) {
        const files: Entry[] = [[hint, ''], ...database(path, ELF)];
        expect(await unowned([...files, program(path)])).toEqual([]);
        expect(await unowned([...files, program(path, `${ELF}other`)])).toEqual([path]);
      }
    }
  });

  test.each(DATABASES)('%s: hides no package that replaced the installed one', async (_, database) => {
    const path = 'usr/lib/node_modules/npm/package.json';
    const installed = '{"name":"npm","version":"1.0.0"}';
    const tables = database(path, installed);
    const later = [npmPackage('usr/lib/node_modules/npm', 'npm', '2.0.0')];
    const npmOf = async (...layers: Entry[][]): Promise<string[]> =>
      (await read(...layers)).purls.filter((purl) => purl.startsWith('pkg:npm'));
    expect(await npmOf([...tables, [path, installed]])).toEqual([]);
    expect(await npmOf([...tables, [path, installed]], later, tables)).toEqual(['pkg:npm/npm@2.0.0']);
  });

  test('is compared where a link leads', async () => {
    const [database] = DATABASES;
    const tables = database?.[1]('lib/node_modules/npm/package.json', 'old') ?? [];
    const manifest: Entry = ['opt/npm/package.json', '{"name":"npm","version":"2.0.0"}'];
    const links = [link('lib/node_modules/npm', '/opt/npm'), ...tables, manifest];
    expect((await read(links)).purls).toEqual(['pkg:apk/alpine/a@1-r0?arch=x86_64', 'pkg:npm/npm@2.0.0']);
  });
});

describe('a script interpreter', () => {
  const shell = program('run.sh', '#! /bin/sh -e\n');
  test.each<[string, Entry[], string[]]>([
    ['of no package is a gap', [shell, program('bin/sh')], ['bin/sh']],
    ['of a package is none', [shell, ...apk('a', 'bin/sh'), program('bin/sh')], []],
    [
      'is the file to which links lead',
      [shell, link('bin/sh', '/etc/sh'), link('etc/sh', '../opt/dash'), program('opt/dash')],
      ['opt/dash'],
    ],
    ['may be a script itself', [program('a', '#!/b\n'), program('b', '#!/c x\n'), program('c')], ['b', 'c']],
    ['that is not there hides nothing', [shell, program('b', '#!\n'), program('c', '#!/usr/bin/env\n')], []],
    [
      'is what env looks for',
      [
        program('a', '#!/usr/bin/env -S X=1 lua -e\n'),
        ...apk('a', 'usr/bin/env'),
        program('usr/bin/env'),
        program('usr/local/bin/lua'),
      ],
      ['usr/local/bin/lua'],
    ],
    [
      'is what env looks for behind its options',
      [program('a', '#!/usr/bin/env -u X -Slua -e\n'), program('bin/lua', '#!x\n')],
      ['bin/lua'],
    ],
  ])('%s', async (_, entries, paths) => {
    expect(await unowned(entries)).toEqual(paths);
  });
});

describe('a language package', () => {
  const files = ['usr/lib/python3/a.dist-info/METADATA', 'usr/lib/python3/a.egg-info'];
  const metadata = (version: string): Entry[] => files.map((path) => [path, `Name: a\nVersion: ${version}\n`]);

  test('that the distribution installed is listed once', async () => {
    expect(await read([...apk('python3-a', ...files), ...metadata('1.0')])).toEqual({
      purls: ['pkg:apk/alpine/python3-a@1-r0?arch=x86_64'],
      gaps: [],
      aggregate: 'complete',
    });
  });

  test('that the distribution installed and that cannot be read is no gap, unless it was replaced above', async () => {
    const broken: Entry[] = [[files[0] ?? '', 'Name: a\n']];
    expect(await unowned([...apk('python3-a', ...files), ...broken])).toEqual([]);
    expect(await unowned([...apk('python3-a', ...files), ...broken], broken)).toHaveLength(1);
  });

  test('that replaced one of the distribution in a layer above is listed', async () => {
    const { purls } = await read([...apk('python3-a', ...files), ...metadata('1.0')], metadata('2.0'));
    expect(purls).toEqual(['pkg:apk/alpine/python3-a@1-r0?arch=x86_64', 'pkg:pypi/a@2.0']);
  });
});
