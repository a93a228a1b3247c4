import { deflateSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { binariesCataloger } from '../../../src/sbom/catalogers/binaries.js';
import type { Reading } from '../../../src/sbom/catalogers/cataloger.js';
import { elfHeader, FRAME, framed, inlineInfo, MAGIC, type Segment } from '../../support/elf-files.js';
import { layerFile } from '../../support/layer-file.js';
import { propertyRuns } from '../../support/property-runs.js';

const LIST = [
  'path\texample.com/app/cmd/server',
  'mod\texample.com/app\tv1.2.3\t',
  'dep\tgolang.org/x/text\tv0.20.0\th1:gK/Kv2otX8gz+wn7Rmb3vT96ZwuoxnQlY+HlJVj7Qug=',
  'dep\texample.com/forked\tv1.0.0',
  '=>\texample.org/fork\tv1.0.1\th1:x=',
  'dep\texample.com/local\tv0.0.0',
  '=>\t../local\t(devel)\t',
  'build\t-compiler=gc',
  '',
].join('\n');
const MODULES = [
  'pkg example.com/app v1.2.3',
  'pkg golang.org/x/text v0.20.0',
  'pkg example.org/fork v1.0.1',
  'pkg example.com/local (devel)',
];

const READ_ONLY: Segment = { offset: 0, size: 0x40000, address: 0x400000, flags: 4 };
const WRITABLE: Segment = { offset: 0x40000, size: 0x40000, address: 0x540000, flags: 6 };

/** An ELF file of 512 KiB that has these bytes at these places. */
function elf(parts: Record<number, Buffer | string>, segments: readonly Segment[] = [READ_ONLY, WRITABLE]): Buffer {
  const file = Buffer.alloc(0x80000, 'filling ');
  elfHeader(segments).copy(file);
  for (const [at, bytes] of Object.entries(parts)) Buffer.from(bytes as Buffer).copy(file, Number(at));
  return file;
}

async function read(content: Buffer, chunkBytes = 64 * 1024): Promise<Reading> {
  expect(binariesCataloger.recognizes?.(content.subarray(0, 256), content.length, 0o755)).toBe(true);
  return binariesCataloger.read(layerFile(content, { chunkBytes }));
}

function listed({ packages = [] }: Reading): string[] {
  return packages.map(({ namespace, name, version }) =>
    namespace === undefined ? `${name} ${version}` : `pkg ${namespace}/${name} ${version}`,
  );
}

describe('a Go program', () => {
  test.each([1000, 4096, 65_536, Infinity])('lists its modules, read in pieces of %d bytes', async (chunkBytes) => {
    for (const at of [0x40000, 0x40010 + 65_520, 0x7f000]) {
      const reading = await read(elf({ [at]: inlineInfo('go1.22.3', framed(LIST)) }), Math.min(chunkBytes, 1e9));
      expect(listed(reading)).toEqual([...MODULES, 'stdlib 1.22.3']);
      expect(reading.gaps).toBeUndefined();
    }
  });

  test('names what its main module was built with', async () => {
    const { packages } = await read(elf({ 0x40000: inlineInfo('go1.22.3', framed(LIST)) }));
    expect(packages?.[0]?.dependsOn).toEqual([
      'golang.org/x/text@v0.20.0',
      'example.org/fork@v1.0.1',
      'example.com/local@(devel)',
      'stdlib@1.22.3',
    ]);
  });

  test.each([
    ['go1.22.3 X:boringcrypto', ['stdlib 1.22.3']],
    ['go1.23rc1', ['stdlib 1.23rc1']],
    ['devel go1.24-ad7b46ee48 Mon Jan 1', ['stdlib 1.24-ad7b46ee48']],
  ])('of %j has the standard library %j', async (version, expected) => {
    expect(listed(await read(elf({ 0x40000: inlineInfo(version, framed('path\tcmd/go\n')) })))).toEqual(expected);
  });

  test('of Go before 1.18 has the addresses of its version and list', async () => {
    const header = Buffer.concat([MAGIC, Buffer.from([8, 0])], 32);
    header.writeBigUInt64LE(0x541000n, 16);
    header.writeBigUInt64LE(0x541010n, 24);
    const string = Buffer.alloc(16);
    string.writeBigUInt64LE(0x402004n, 0);
    string.writeBigUInt64LE(9n, 8);
    const program = elf({ 0x2004: 'go1.17.13go1.99', 0x3000: framed(LIST), 0x40000: header, 0x41000: string });
    for (const chunkBytes of [999, 65_536]) {
      const reading = await read(program, chunkBytes);
      expect(listed(reading)).toEqual([...MODULES, 'stdlib 1.17.13']);
      expect(reading.gaps).toBeUndefined();
    }
    string.writeBigUInt64LE(0x402005n, 0);
    const lost = await read(elf({ 0x2004: 'go1.17.13', 0x3000: framed(LIST), 0x40000: header, 0x41000: string }));
    expect(listed(lost)).toEqual(MODULES);
    expect(lost.gaps).toEqual([{ cause: 'entry-skipped', detail: 'the version of Go of a program' }]);
  });

  test('with a module whose path has no last part names the others, and a gap', async () => {
    const list = 'path\texample.com/a\nmod\texample.com/\tv1.0.0\ndep\texample.com/b\tv1.0.0\n';
    const reading = await read(elf({ 0x40000: inlineInfo('go1.22.3', framed(list)) }));
    expect(listed(reading)).toEqual(['pkg example.com/b v1.0.0', 'stdlib 1.22.3']);
    expect(reading.gaps).toEqual([{ cause: 'entry-skipped', detail: '1 modules of a Go program' }]);
  });

  test('without a list of modules is a gap, unless it is part of Go', async () => {
    expect(await read(elf({ 0x40000: inlineInfo('go1.22.3', Buffer.alloc(0)) }))).toEqual({
      packages: [expect.objectContaining({ name: 'stdlib' })],
      gaps: [{ cause: 'entry-skipped', detail: 'a Go program without a list of its modules' }],
    });
  });

  test('is not one that has the marker as data, or a header that lies about lengths', async () => {
    const info = inlineInfo('go1.22.3', framed(LIST));
    const long = Buffer.from(info);
    long.writeUInt32LE(0xffffffff, 32 + 9);
    for (const parts of [{ 0x20000: info }, { 0x40008: info }, { 0x40000: MAGIC }, { 0x40000: long }]) {
      expect(await read(elf(parts))).toEqual({});
    }
    expect(listed(await read(elf({ 0x40000: MAGIC, 0x50000: info })))).toContain('stdlib 1.22.3');
  });

  test('is found behind a thousand markers that lead nowhere', async () => {
    const frames = Buffer.alloc(0x20000, FRAME[0]);
    const headers = Buffer.alloc(0x8000, Buffer.concat([MAGIC, Buffer.from([8, 2])], 32));
    const program = elf({ 0x10000: frames, 0x40000: headers, 0x60000: inlineInfo('go1.22.3', framed(LIST)) });
    for (const chunkBytes of [5000, 65_536]) {
      expect(listed(await read(program, chunkBytes))).toEqual([...MODULES, 'stdlib 1.22.3']);
    }
  });

  test.each([
    ['PE', 'MZ'],
    ['Mach-O', '\xcf\xfa\xed\xfe'],
    ['Mach-O for several processors', '\xca\xfe\xba\xbe\0'],
  ])('may be a %s file', async (_, start) => {
    const program = elf({ 0x30000: inlineInfo('go1.22.3', framed(LIST)) });
    program.fill(0, 0, 64).write(start, 'latin1');
    expect(listed(await read(program))).toContain('stdlib 1.22.3');
  });
});

describe('a Rust program', () => {
  const crates = {
    packages: [
      { name: 'demo', version: '0.1.0', source: 'local', dependencies: [1, 2, 3, 99, -1], root: true },
      { name: 'itoa', version: '1.0.19', source: 'crates.io' },
      { name: 'cc', version: '1.2.0', source: 'crates.io', kind: 'build' },
      { name: 'semver', version: '1.0.28', source: 'crates.io', kind: 'runtime' },
    ],
  };
  const section = (json: unknown, level = 9): Buffer => deflateSync(JSON.stringify(json), { level });

  test.each([6, 9])('lists the crates that it contains, packed with level %d', async (level) => {
    for (const at of [0x10000, 65_536 * 4 + 100, 0x80000 - section(crates, level).length]) {
      for (const chunkBytes of [997, 65_536]) {
        const program = elf({
          300: Buffer.from([0x78, 0x9c, 1, 2, 3, 0x78, 0xda, 0xed]),
          [at]: section(crates, level),
        });
        expect((await read(program, chunkBytes)).packages).toEqual([
          {
            type: 'cargo',
            name: 'demo',
            version: '0.1.0',
            dependsOn: ['itoa@1.0.19', 'semver@1.0.28'],
            provides: ['demo@0.1.0'],
          },
          { type: 'cargo', name: 'itoa', version: '1.0.19', provides: ['itoa@1.0.19'] },
          { type: 'cargo', name: 'semver', version: '1.0.28', provides: ['semver@1.0.28'] },
        ]);
      }
    }
  });

  test('with more crates than the first bytes tell lists all of them', async () => {
    const many = Array.from({ length: 3000 }, (_, at) => ({
      name: `crate-${(at * 7919) % 3001}`,
      version: `${at}.0.0`,
    }));
    expect((await read(elf({ 0x20000: section({ packages: many }) }))).packages).toHaveLength(3000);
  });

  test('with crates that cannot be read is a gap', async () => {
    const broken = section(crates);
    expect(await read(elf({ 0x20000: broken.fill('x', broken.length - 8) }))).toEqual({
      gaps: [{ cause: 'database-unreadable', detail: 'the crates of a Rust program' }],
    });
    expect(await read(elf({ 0x20000: section({ packages: [...crates.packages, { name: 'x' }, 1] }) }))).toEqual({
      packages: [{ name: 'demo' }, { name: 'itoa' }, { name: 'semver' }].map((each) => expect.objectContaining(each)),
      gaps: [{ cause: 'entry-skipped', detail: '2 crates of a Rust program' }],
    });
  });
});

describe('a runtime without a package', () => {
  test.each([
    ['node', { 0x1000: '\0node.js/v22.12.0\0v22.12.0\0' }, ['node 22.12.0']],
    ['busybox', { 0x1000: '\0BusyBox v1.36.1 (2024-01-01 00:00:00 UTC)\0' }, ['busybox 1.36.1']],
    ['python', { 0x1000: '\x003.12.4\0', 0x50000: '%.80s (%.80s) %.80s\0', 0x51000: '\x003.2.0\0' }, ['python 3.12.4']],
    ['python 2', { 0x1000: '/opt/python-2.7.18\0', 0x50000: '%.80s (%.80s) %.80s\0' }, ['python 2.7.18']],
    ['python of two versions', { 0x1000: '\x003.12.4\0x\x003.45.1\0', 0x50000: '%.80s (%.80s) %.80s\0' }, []],
    ['a program with a version', { 0x1000: '\x003.12.4\0' }, []],
    ['a program that asks node', { 0x1000: 'see node.js/vm.html\0BusyBox versions\0' }, []],
  ])('%s is listed if its version is there', async (_, parts, expected) => {
    for (const chunkBytes of [13_000, 65_536]) expect(listed(await read(elf(parts), chunkBytes))).toEqual(expected);
  });

  test('python owns its launcher, its library and its modules', async () => {
    const { packages } = await read(elf({ 0x1000: '\x003.12.4\0%.80s (%.80s) %.80s\0' }));
    expect(packages?.[0]?.owns).toEqual(
      expect.arrayContaining(['../bin/python3.12', '../lib/libpython3.12.so.1.0', '../lib/python3.12/lib-dynload/']),
    );
    expect(packages?.[0]?.owns).not.toContain('../lib/python3.12/');
  });
});

describe('files', () => {
  test.each([
    ['a script', Buffer.alloc(100_000, '#!/bin/sh\n')],
    ['a Java class', Buffer.concat([Buffer.from([0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 52])], 100_000)],
    ['a small program', elfHeader([])],
    ['nothing', Buffer.alloc(0)],
  ])('%s is not recognized', (name, content) => {
    const isClass = name === 'a Java class';
    expect(binariesCataloger.recognizes?.(content.subarray(0, 256), content.length, 0o755)).toBe(isClass);
  });

  test('that mix parts of programs give the same result in any pieces', async () => {
    const piece = fc.oneof(
      fc.constantFrom(
        MAGIC,
        inlineInfo('go1.22.3', framed(LIST)),
        Buffer.concat([MAGIC, Buffer.from([8, 0])], 32),
        framed(LIST),
        FRAME[0] ?? MAGIC,
        deflateSync('{"packages":[{"name":"a","version":"1"}]}'),
        deflateSync('{"packages":').subarray(0, 14),
        Buffer.from('\x003.12.4\0%.80s (%.80s) %.80s'),
        Buffer.from('node.js/v22.12.0\0BusyBox v1.36.1 '),
      ),
      fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(0x8000), piece), { maxLength: 8 }),
        fc.integer({ min: 500, max: 70_000 }),
        async (placed, chunkBytes) => {
          const content = elf({}).subarray(0x39000, 0x43000);
          elfHeader([{ ...WRITABLE, offset: 0 }]).copy(content);
          for (const [at, bytes] of placed) bytes.copy(content, 200 + 16 * Math.floor(at / 16));
          const once = await binariesCataloger.read(layerFile(content));
          expect(await binariesCataloger.read(layerFile(content, { chunkBytes }))).toEqual(once);
          expect(structuredClone(once)).toEqual(once);
        },
      ),
      { numRuns: propertyRuns(20_000, 200) },
    );
  });
});
