import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Reading } from '../../../src/sbom/catalogers/cataloger.js';
import { rpmCataloger } from '../../../src/sbom/catalogers/rpm.js';
import { layerFile } from '../../support/layer-file.js';
import { propertyRuns } from '../../support/property-runs.js';
import {
  berkeleyDb,
  ndbDatabase,
  numbers,
  rpmHeader,
  lyingSqliteDatabase,
  simpleHeader,
  sqliteDatabase,
  text,
  texts,
  type Value,
} from '../../support/rpm-databases.js';

const read = async (content: Uint8Array | string): Promise<Reading> => rpmCataloger.read(layerFile(content));
const listed = ({ packages = [] }: Reading): string[] => packages.map(({ name, version }) => `${name} ${version}`);
const gapsOf = ({ gaps = [] }: Reading): string[] => gaps.map(({ cause, detail }) => `${cause}: ${detail}`);
const BASE: readonly (readonly [number, Value])[] = [
  [1000, text('bash')],
  [1001, text('5.2.26')],
  [1002, text('3.azl3')],
];
const withBase = (...values: (readonly [number, Value])[]): Buffer => rpmHeader([...BASE, ...values]);

const FORMATS: [string, (headers: Uint8Array[]) => Buffer][] = [
  ['sqlite', sqliteDatabase],
  ['sqlite with small pages', (headers) => sqliteDatabase(headers, { pageBytes: 512 })],
  ['sqlite with large pages', (headers) => sqliteDatabase(headers, { pageBytes: 65_536 })],
  ['Berkeley DB', berkeleyDb],
  ['Berkeley DB of a big-endian machine', (headers) => berkeleyDb(headers, { order: 'big' })],
  ['Berkeley DB of RHEL 5', (headers) => berkeleyDb(headers, { hashPage: 2, pageBytes: 4096 })],
  ['ndb', ndbDatabase],
];

describe.each(FORMATS)('%s', (_, database) => {
  test('lists each package, with small and large headers', async () => {
    const sizes = [0, 100, 400, 500, 3000, 4096, 20_000, 70_000];
    const found = await read(database(sizes.map((size, index) => simpleHeader(`p${index}`, `1.${index}`, '2', size))));
    expect(listed(found)).toEqual(sizes.map((__, index) => `p${index} 1.${index}-2`));
    expect(found.packages?.map(({ owns = [] }) => owns.length)).toEqual(sizes.map((size) => Math.ceil(size / 10)));
    expect(gapsOf(found)).toEqual([]);
  });

  test('lists many packages', async () => {
    const names = Array.from({ length: 250 }, (__, index) => `package-${index}`);
    const found = await read(database(names.map((name) => simpleHeader(name))));
    expect(listed(found)).toEqual(names.map((name) => `${name} 1.0-1`));
    expect(gapsOf(found)).toEqual([]);
  });

  test('a header that cannot be read is a gap, and the others are listed', async () => {
    const found = await read(database([simpleHeader('a'), Buffer.alloc(40, 0xff), simpleHeader('b')]));
    expect(listed(found)).toEqual(['a 1.0-1', 'b 1.0-1']);
    expect(gapsOf(found)).toEqual(['entry-skipped: 1 headers that cannot be read']);
  });

  test('a database that ends too early is a gap at any place', async () => {
    const bytes = database([simpleHeader('a', '1', '1', 900), simpleHeader('b', '1', '1', 900)]);
    for (let end = 1; end < bytes.length; end += Math.ceil(bytes.length / 60)) {
      expect({ end, gaps: gapsOf(await read(bytes.subarray(0, end))).length }).not.toEqual({ end, gaps: 0 });
    }
  });

  test('damaged databases never fail, and are read the same twice', async () => {
    const bytes = database([simpleHeader('a', '1', '1', 900), withBase([1049, texts('a', 'b')]), simpleHeader('c')]);
    const change = fc.tuple(fc.nat(bytes.length - 1), fc.constantFrom(0, 1, 2, 0x7f, 0x80, 0xff));
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 8 }), fc.nat(bytes.length), async (changes, end) => {
        const damaged = Buffer.from(bytes.subarray(0, end % 3 === 0 ? end : bytes.length));
        for (const [at, value] of changes) damaged[at] = value;
        const found = await read(damaged);
        expect(await read(damaged)).toEqual(found);
        expect(found.packages?.length ?? 0).toBeLessThan(10);
      }),
      // 21,000 for all formats together.
      { numRuns: propertyRuns(3000, 100) },
    );
  });
});

describe('a package', () => {
  const one = async (header: Buffer): Promise<Reading> => read(ndbDatabase([header]));

  test('has what its header states', async () => {
    const header = withBase(
      [261, { type: 7, bytes: Buffer.alloc(16, 0xab) }],
      [1003, numbers(2)],
      [1011, text('Microsoft Corporation')],
      [1014, text('GPLv3+')],
      [1022, text('x86_64')],
      [1030, { type: 3, numbers: [0o100755, 0o040755, 0o120777] }],
      [1044, text('bash-doc-5.2.26-3.azl3.src.rpm')],
      [1047, texts('bash', '/bin/sh', 'bash')],
      [1049, texts('libc.so.6()(64bit)', 'rpmlib(PayloadIsZstd)', 'filesystem', 'filesystem')],
      [1116, numbers(0, 1, 0)],
      [1117, texts('bash', 'bash', 'sh')],
      [1118, texts('/usr/bin/', '/usr/share/doc/')],
      [5096, text('bash:5:1')],
    );
    expect(await one(header)).toEqual({
      packages: [
        {
          type: 'rpm',
          name: 'bash',
          version: '5.2.26-3.azl3',
          qualifiers: { arch: 'x86_64', epoch: '2', rpmmod: 'bash:5:1' },
          supplier: 'Microsoft Corporation',
          source: { name: 'bash-doc', version: '5.2.26-3.azl3' },
          licenses: ['GPLv3+'],
          hashes: [{ algorithm: 'MD5', hex: 'ab'.repeat(16) }],
          dependsOn: ['libc.so.6()(64bit)', 'filesystem'],
          provides: ['bash', '/bin/sh'],
          owns: ['/usr/bin/bash', '/usr/bin/sh'],
        },
      ],
    });
  });

  test('of RHEL 3 and before has whole paths', async () => {
    const { packages } = await one(withBase([1027, texts('/bin/a', '/bin/b')]));
    expect(packages?.[0]?.owns).toEqual(['/bin/a', '/bin/b']);
  });

  test('depends on no name that is empty', async () => {
    const { packages } = await one(withBase([1047, texts('')], [1049, texts('', 'a')]));
    expect(packages?.[0]).toMatchObject({ dependsOn: ['a'] });
    expect(packages?.[0]).not.toHaveProperty('provides');
  });

  test('has the later of two values, which rpm added to the signed header', async () => {
    expect(listed(await one(withBase([1001, text('6')])))).toEqual(['bash 6-3.azl3']);
  });

  test('depends on the package that owns a file, if it depends on the file', async () => {
    const reading = await read(
      ndbDatabase([
        simpleHeader('coreutils', '9', '1', 10),
        withBase([1049, texts('/opt/f00000000', '/usr/bin/unknown', 'libc')]),
      ]),
    );
    const layer = `sha256:${'0'.repeat(64)}` as const;
    const path = 'usr/lib/sysimage/rpm/Packages.db';
    const combined = rpmCataloger.combine?.([{ path, layer, reading }], { has: () => true });
    expect(combined?.packages.map(({ name, dependsOn }) => [name, dependsOn])).toEqual([
      ['coreutils', undefined],
      ['bash', ['coreutils', '/usr/bin/unknown', 'libc']],
    ]);
    expect(combined?.packages[0]).toMatchObject({ path, layer });
  });

  test.each<[string, Buffer]>([
    ['without a name', rpmHeader(BASE.slice(1))],
    ['without a release', rpmHeader(BASE.slice(0, 2))],
    ['with a name that is too long', withBase([1000, text('x'.repeat(1001))])],
    [
      'with a version and release that are too long together',
      withBase([1001, text('1'.repeat(500))], [1002, text('1'.repeat(500))]),
    ],
    ['with a name that is a number', withBase([1000, numbers(1)])],
    [
      'with more entries than it has bytes',
      Buffer.concat([Buffer.from([0, 0, 0xff, 0, 0, 0, 0, 9]), Buffer.alloc(99)]),
    ],
    ['with no entries', Buffer.alloc(64)],
    ['with a text without an end', Buffer.from(withBase().subarray(0, -1))],
  ])('%s is a gap', async (_, header) => {
    const found = await one(header);
    expect(listed(found)).toEqual([]);
    expect(gapsOf(found)).toEqual(['entry-skipped: 1 headers that cannot be read']);
  });

  test('whose numbers or texts are more than the header has is a gap', async () => {
    const header = withBase([1049, texts('a')]);
    const count = 8 + 3 * 16 + 12;
    for (const stated of [2, 0x7fffffff, 0xffffffff]) {
      header.writeUInt32BE(stated, count);
      expect(gapsOf(await one(header))).toEqual(['entry-skipped: 1 headers that cannot be read']);
    }
  });

  test('whose file list would take more memory than allowed lists a part, and a gap', async () => {
    // A hundred thousand files in a folder with a long name: 400 MB from a header of 1 MB.
    const count = 100_000;
    const header = withBase(
      [1116, numbers(...Array.from({ length: count }, () => 0))],
      [1117, texts(...Array.from({ length: count }, () => 'f'))],
      [1118, texts(`/${'d'.repeat(4000)}/`)],
    );
    const found = await one(header);
    expect(found.packages?.[0]?.owns?.length).toBeLessThan(20_000);
    expect(gapsOf(found)).toEqual([
      expect.stringMatching(/^entry-skipped: \d+ files of packages that take too much room$/),
    ]);
  });
});

describe('hostile databases', () => {
  test('rows that share their bytes are read as often as the file is long', async () => {
    const bytes = sqliteDatabase([simpleHeader('a', '1', '1', 2000)]);
    // The one leaf page of the table gets a hundred pointers to the one row.
    const leaf = 4096;
    expect(bytes[leaf]).toBe(0x0d);
    const row = bytes.readUInt16BE(leaf + 8);
    for (let cell = 0; cell < 100; cell += 1) bytes.writeUInt16BE(row, leaf + 8 + 2 * cell);
    bytes.writeUInt16BE(100, leaf + 3);
    const found = await read(bytes);
    expect(found.packages?.length).toBeLessThan(bytes.length / 2000);
    expect(gapsOf(found)).toEqual([expect.stringMatching(/^entry-skipped: \d+ rows that cannot be read$/)]);
  });

  test('pages that name each other are read once', async () => {
    const bytes = sqliteDatabase(
      Array.from({ length: 60 }, (_, index) => simpleHeader(`p${index}`)),
      { pageBytes: 512 },
    );
    const interior = bytes.findIndex((byte, at) => at % 512 === 0 && byte === 0x05);
    bytes.writeUInt32BE(interior / 512 + 1, interior + 8);
    const found = await read(bytes);
    expect(found.packages?.length).toBeLessThan(60);
    expect(gapsOf(found)).toEqual(['database-unreadable: 1 pages that cannot be read']);
  });

  test('that state more entries than a page has room for are read no further than the page', async () => {
    const bytes = berkeleyDb([simpleHeader('a'), simpleHeader('b')]);
    bytes.writeUInt16LE(0xffff, 2 * 512 + 20);
    const reading = await read(bytes);
    expect(listed(reading)).toEqual(['a 1.0-1', 'b 1.0-1']);
    expect(reading.gaps?.map(({ detail }) => detail)).toEqual([
      '1 pages that state more entries than they have room for',
      '120 entries that cannot be read',
      '1 keys without a value',
    ]);
  });

  test('overflow pages in a circle are a gap', async () => {
    const bytes = berkeleyDb([simpleHeader('a', '1', '1', 2000)]);
    const last = bytes.length - 512;
    bytes.writeUInt32LE(last / 512, last + 16);
    bytes.writeUInt16LE(10, last + 22);
    expect(gapsOf(await read(bytes))).toEqual(['entry-skipped: 1 entries that cannot be read']);
  });

  test('slots that name the same header again are read as often as the file is long', async () => {
    const bytes = ndbDatabase([simpleHeader('a', '1', '1', 30_000)]);
    for (let at = 48; at < 4096; at += 16) bytes.copy(bytes, at, 32, 48);
    const found = await read(bytes);
    expect(found.packages).toHaveLength(1);
    expect(gapsOf(found)).toEqual(['entry-skipped: 253 slots that cannot be read']);
  });

  test('millions of rows that cannot be read end the reading', async () => {
    const bytes = lyingSqliteDatabase();
    const [, rows] = /entry-skipped: (\d+) rows that cannot be read/.exec(gapsOf(await read(bytes)).join()) ?? [];
    expect(Number(rows)).toBeGreaterThan(100_000);
    expect(Number(rows)).toBeLessThan(100_100);
  });

  test.each<[string, string[]]>([
    ['has other columns', ['DROP TABLE Packages', 'CREATE TABLE Packages (blob BLOB NOT NULL, hnum INTEGER)']],
    ['is a view', ['ALTER TABLE Packages RENAME TO Hidden', 'CREATE VIEW Packages AS SELECT * FROM Hidden']],
    ['is absent', ['DROP TABLE Packages']],
  ])('a table of packages that %s is a gap', async (_, sql) => {
    const found = await read(sqliteDatabase([simpleHeader('a')], { sql }));
    expect(listed(found)).toEqual([]);
    expect(gapsOf(found)).toEqual([
      "database-unreadable: the database cannot be read: it has no table of rpm's packages",
    ]);
  });

  test.each(['UTF-8', 'UTF-16le', 'UTF-16be'])('a database in %s is read', async (encoding) => {
    const bytes = sqliteDatabase([simpleHeader('a')], { encoding });
    expect(listed(await read(bytes))).toEqual(['a 1.0-1']);
  });
});

describe('files that are no database', () => {
  test('a write-ahead log with changes is a gap, and one without is none', async () => {
    const log = Buffer.alloc(32 + 24 + 4096);
    log.writeUInt32BE(0x377f0682);
    expect(gapsOf(await read(log))).toEqual(['database-unreadable: changes that are not merged into the database']);
    expect(await read(log.subarray(0, 32))).toEqual({});
    expect(await read('')).toEqual({});
  });

  test('other content is a gap', async () => {
    for (const content of ['hello\n', Buffer.alloc(5000), Buffer.from('\x7fELF')]) {
      expect(gapsOf(await read(content))).toEqual([
        'database-unreadable: the database cannot be read: it is of no known format',
      ]);
    }
  });

  test('distroless images of Azure Linux have a list', async () => {
    const line = (...columns: string[]): string => columns.join('\t');
    const found = await read(
      [
        line(
          'bash',
          '5.2.26-3.azl3',
          '1',
          '2',
          'Microsoft Corporation',
          '(none)',
          '9',
          'x86_64',
          '0',
          'bash-5.2.26-3.azl3.src.rpm',
        ),
        line('gpg-pubkey', 'a-b', '1', '2', '(none)', '(none)', '9', '(none)', '3', '(none)'),
        line('broken', '1', '1', '2', 'x', '(none)', '9', 'x86_64', '0', '(none)'),
        line('short', '1-1'),
        '',
      ].join('\n'),
    );
    expect(found.packages).toEqual([
      {
        type: 'rpm',
        name: 'bash',
        version: '5.2.26-3.azl3',
        qualifiers: { arch: 'x86_64' },
        supplier: 'Microsoft Corporation',
        source: { name: 'bash', version: '5.2.26-3.azl3' },
      },
      { type: 'rpm', name: 'gpg-pubkey', version: 'a-b', qualifiers: { epoch: '3' } },
    ]);
    expect(gapsOf(found)).toEqual(['entry-skipped: 2 lines that are no packages']);
  });

  test.each([
    ['var/lib/rpm/Packages', true],
    ['usr/lib/sysimage/rpm/Packages.db', true],
    ['usr/share/rpm/rpmdb.sqlite', true],
    ['usr/lib/sysimage/rpm/rpmdb.sqlite-wal', true],
    ['var/lib/rpmmanifest/container-manifest-2', true],
    ['var/lib/rpmmanifest/container-manifest-1', false],
    ['srv/var/lib/rpm/Packages', false],
    ['var/lib/rpm/Name', false],
  ])('%s is wanted: %s', (path, isWanted) => expect(rpmCataloger.wants(path)).toBe(isWanted));
});
