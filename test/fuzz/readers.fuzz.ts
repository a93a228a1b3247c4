import { isDeepStrictEqual } from 'node:util';
import { CATALOGERS } from '../../src/sbom/catalogers/index.js';
import { LONGEST_NAME } from '../../src/sbom/catalogers/cataloger.js';
import { zstdCompressSync } from 'node:zlib';
import { layerFile } from '../support/layer-file.js';
import { rawZip } from '../support/raw-zip.js';
import { berkeleyDb, ndbDatabase, simpleHeader, sqliteDatabase } from '../support/rpm-databases.js';

/** Contents to start from; the first byte chooses the cataloger. */
export function seeds(): Buffer[] {
  const contents = [
    'Package: a\nStatus: install ok installed\nVersion: 1\nDepends: b (>= 1) | c\n\n',
    'P:a\nV:1-r0\nA:x86_64\nF:usr/bin\nR:a\n\n',
    '{"name":"@s/a","version":"1.0.0","license":"MIT","dependencies":{"b":"1"}}',
    'Metadata-Version: 2.1\nName: a\nVersion: 1\nLicense: MIT\nRequires-Dist: b; extra == "x"\n\n',
    'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: GPL-2+ or MIT\n\n',
    '/.\n/usr\n/usr/bin\n/usr/bin/a\n',
    'a\t1-1\t1\t1\tv\t(none)\t1\tx86_64\t0\ta-1-1.src.rpm\n',
    'ID=debian\nVERSION_ID="12"\n',
    '{"packages":[{"name":"a/b","version":"1","dist":{"shasum":"00"}}]}',
    '{"runtimeTarget":{"name":"x"},"targets":{"x":{"a/1":{}}},"libraries":{"a/1":{"type":"package","sha512":"x"}}}',
    'SQLite format 3\0',
    '\x7fELF\x02\x01\x01',
    'Gem::Specification.new do |s|\n  s.name = "a".freeze\n  s.version = "1"\nend\n',
  ];
  const headers = [simpleHeader('a'), simpleHeader('b', '1', '2', 900)];
  const jar = rawZip([
    {
      name: 'META-INF/MANIFEST.MF',
      content: 'Bundle-SymbolicName: a.b\nBundle-License: "MIT";x=1\n',
      descriptor: true,
    },
    { name: 'META-INF/maven/g/a/pom.xml', content: '<project><artifactId>a</artifactId><version>${v}</version>' },
    { name: 'pom.properties', content: 'groupId=g\nartifactId=a\nversion=1\n', method: 'store' },
  ]);
  const databases = [
    jar,
    rawZip(
      [
        { name: 'a.jar', content: jar, zip64: true },
        { name: 'b.jar', content: jar, descriptor: 'long' },
      ],
      { zip64: true },
    ),
    sqliteDatabase(headers, { pageBytes: 512 }),
    berkeleyDb(headers),
    berkeleyDb(headers, { order: 'big' }),
    ndbDatabase(headers),
    zstdCompressSync('{"jsonwall":"1.0","count":2}\n{"kind":"package","name":"a","version":"1"}\n'),
  ];
  return [...contents.map((content) => Buffer.from(content, 'latin1')), ...databases].flatMap((content) =>
    CATALOGERS.map((_, index) => Buffer.concat([Buffer.from([index]), content])),
  );
}

/** A cataloger reads any bytes without an error, twice the same, and gives no longer names than it may. */
export async function fuzz(input: Buffer): Promise<void> {
  const cataloger = CATALOGERS[(input[0] ?? 0) % CATALOGERS.length];
  const content = input.subarray(1);
  if (cataloger === undefined || content.length > cataloger.maxBytes) return;
  const reading = await cataloger.read(layerFile(content));
  if (!isDeepStrictEqual(reading, await cataloger.read(layerFile(content, { chunkBytes: 7 }))))
    throw new Error(`${cataloger.name} reads the same bytes in two ways`);
  structuredClone(reading);
  for (const { name, version } of reading.packages ?? [])
    if (name.length > LONGEST_NAME || version.length > LONGEST_NAME) throw new Error(`${cataloger.name}: a long name`);
}
