import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from '@jest/globals';
import { parsePaxRecords } from '../../../src/oci/tar-header.js';
import {
  gzipped,
  layerOf,
  npmPackage,
  PLAIN_LAYER,
  sbomOf,
  tarOf,
  ZSTD_LAYER,
  type Entry,
  type Layer,
} from '../../support/sbom-image.js';
import { END, file } from './raw-tar.js';
import { cpuTimer } from '../../support/cpu-timer.js';

/** A dpkg database with `count` packages whose names differ only in case, so that they have one package URL. */
function namesThatDifferInCase(count: number): Entry[] {
  const paragraphs = Array.from({ length: count }, (_, index) => {
    const name = Array.from({ length: 16 }, (__, bit) => (((index >> bit) & 1) === 1 ? 'A' : 'a')).join('');
    return `Package: ${name}\nStatus: install ok installed\nVersion: 1\n`;
  });
  return [['var/lib/dpkg/status', paragraphs.join('\n')]];
}

/** One package in `count` places, each with other licenses. */
function placesWithNewLicenses(count: number): Entry[] {
  return Array.from({ length: count }, (_, place) =>
    npmPackage(`app${place}/node_modules/a`, 'a', '1.0.0', {
      licenses: Array.from({ length: 20 }, (__, index) => `L${place}-${index}`),
    }),
  );
}

/** Files that repeatedly replace a folder, beside many packages. */
function foldersReplaced(count: number): Entry[] {
  return [
    ...Array.from({ length: count }, (_, index) => npmPackage(`x/node_modules/a${index}`, `a${index}`, '1.0.0')),
    npmPackage('b/node_modules/q', 'q', '1.0.0'),
    ...Array.from({ length: count }, (): Entry => ['b', '']),
  ];
}

/** Packages below hundreds of folders. */
function deepPackages(count: number): Entry[] {
  return Array.from({ length: count }, (_, index) => {
    return npmPackage(`${'a/'.repeat(200)}node_modules/a${index}`, `a${index}`, '1.0.0');
  });
}

function hardLinks(count: number): Entry[] {
  return [
    npmPackage('node_modules/a', 'a', '1.0.0'),
    ...Array.from({ length: count }, (_, index): Entry => [
      `node_modules/b${index}/package.json`,
      { type: 'link', linkname: 'node_modules/a/package.json' },
    ]),
  ];
}

function chainOfHardLinks(count: number): Entry[] {
  return Array.from({ length: count }, (_, index): Entry => [
    `node_modules/b${index}/package.json`,
    { type: 'link', linkname: `node_modules/b${index + 1}/package.json` },
  ]);
}

function tinyFiles(count: number): Entry[] {
  return Array.from({ length: count }, (_, index): Entry => [`f/${index}`, '']);
}

const ROWS: [string, (count: number) => Entry[]][] = [
  ['names that differ in case only', namesThatDifferInCase],
  ['one package in many places with new licences each time', placesWithNewLicenses],
  ['a folder that is replaced again and again', foldersReplaced],
  ['packages in deep folders', deepPackages],
  ['hard links to one file', hardLinks],
  ['a chain of hard links', chainOfHardLinks],
  ['tiny files', tinyFiles],
];

const restores: (() => void)[] = [];
afterEach(() => {
  for (const restore of restores.splice(0)) restore();
});

/** Counts lookups in maps and sets and comparisons of prefixes, on which every search is built. */
async function countWork(work: () => Promise<unknown>): Promise<number> {
  let count = 0;
  const watch = (owner: object, name: string): void => {
    const method = (owner as Record<string, (...given: unknown[]) => unknown>)[name];
    if (method === undefined) throw new Error(`no method ${name}`);
    const counting = function (this: unknown, ...given: unknown[]): unknown {
      // Hashing a text takes time proportional to its length.
      count += 1 + (typeof given[0] === 'string' ? given[0].length / 16 : 0);
      return method.apply(this, given);
    };
    Object.defineProperty(owner, name, { value: counting, configurable: true, writable: true });
    restores.push(() => Object.defineProperty(owner, name, { value: method, configurable: true, writable: true }));
  };
  for (const name of ['get', 'has', 'set', 'delete']) watch(Map.prototype, name);
  for (const name of ['has', 'add', 'delete']) watch(Set.prototype, name);
  for (const name of ['startsWith', 'lastIndexOf']) watch(String.prototype, name);
  try {
    await work();
  } finally {
    for (const restore of restores.splice(0)) restore();
  }
  return count;
}

/** An upper and a lower layer, so that the paths hidden by the upper one are remembered. */
async function imageOf(entries: Entry[]): Promise<Layer[]> {
  return [await layerOf(npmPackage('node_modules/base', 'base', '1.0.0')), await layerOf(...entries)];
}

describe('the time is proportional to the size of the image', () => {
  test.each(ROWS)('%s', async (_, entriesOf) => {
    const [once, twice] = [await imageOf(entriesOf(400)), await imageOf(entriesOf(800))];
    const few = await countWork(() => sbomOf(once));
    const many = await countWork(() => sbomOf(twice));
    expect(few).toBeGreaterThan(400);
    expect(many / few).toBeLessThan(2.3);
  });

  test('the time for a path is proportional to its length, whatever its number of folders', async () => {
    const at = async (depth: number): Promise<number> => {
      const image = await imageOf([npmPackage(`${'a/'.repeat(depth)}node_modules/a`, 'a', '1.0.0')]);
      return await countWork(() => sbomOf(image));
    };
    expect((await at(800)) / (await at(400))).toBeLessThan(2.3);
  });
});

describe('stored names do not keep the text from which they were sliced', () => {
  test('a status that is too long is a gap, because its package may be installed', async () => {
    const { gaps } = await sbomOf([
      await layerOf([
        'var/lib/dpkg/status',
        `Package: a\nStatus: install ${' '.repeat(5000)}ok installed\nVersion: 1\n`,
      ]),
    ]);
    expect(gaps).toEqual([expect.stringContaining('1 entries with a name, version or status that is too long')]);
  });

  test('JSON nested deeper than any manifest is not parsed; brackets in strings do not count', async () => {
    const padding = 'x'.repeat(20_000);
    const deep = `{"name":"deep","version":"1","x":"${padding}","y":${'['.repeat(5000)}${']'.repeat(5000)}}`;
    const flat = JSON.stringify({ name: 'flat', version: '1', padding, text: `\\"${'['.repeat(5000)}` });
    const { purls, gaps } = await sbomOf([
      await layerOf(['node_modules/deep/package.json', deep], ['node_modules/flat/package.json', flat]),
    ]);
    expect(purls).toEqual(['pkg:npm/flat@1']);
    expect(gaps).toEqual(['npm: a package.json that nests too deep (node_modules/deep/package.json)']);
  });

  test('more than a hundred licenses of one package are a gap', async () => {
    const { document, gaps } = await sbomOf([await layerOf(...placesWithNewLicenses(6))]);
    expect(document.components[0]?.licenses).toHaveLength(100);
    expect(gaps).toEqual(['npm a@1.0.0 has 120 licences, some are left out']);
  });

  test.each(['constructor', '__proto__', 'toString', `${'('.repeat(400)}MIT${')'.repeat(400)}`])(
    'a license called %.20s is a name',
    async (license) => {
      const { document } = await sbomOf([await layerOf(npmPackage('node_modules/a', 'a', '1', { license }))]);
      expect(document.components[0]?.licenses).toEqual([{ license: { name: license, acknowledgement: 'declared' } }]);
    },
  );

  test('packages are counted while they are found, so that millions are refused early', async () => {
    const entries = Array.from({ length: 300 }, (_, index) => npmPackage(`node_modules/a${index}`, 'a', `${index}`));
    let read = 0;
    const archive = await tarOf([...entries, ['zeros', Buffer.alloc(32 * 1024 * 1024, 1)]]);
    const refused = sbomOf([{ mediaType: PLAIN_LAYER, bytes: archive }], {
      limits: { packages: 100 },
      chunkBytes: 10_000,
      onProgress: (bytes) => (read = bytes),
    });
    await expect(refused).rejects.toMatchObject({ code: 'SBOM_LIMIT', details: { name: 'packages' } });
    expect(read).toBeLessThan(archive.length / 10);
  });
});

describe('compression bombs', () => {
  const zeros = (bytes: number): Entry => ['zeros', Buffer.alloc(bytes)];
  const small = { freeUnpackedBytes: 1024 * 1024, unpackedRatio: 100 };

  /** A zstd frame with blocks that repeat one byte: four bytes for each 128 KiB. */
  function zstdZeros(blocks: number, { window = 0x38 } = {}): Buffer {
    const start = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, window]);
    const block = (isLast: boolean): Buffer => {
      const bytes = Buffer.alloc(4);
      bytes.writeUIntLE((128 * 1024 * 8 + 2 + (isLast ? 1 : 0)) >>> 0, 0, 3);
      return bytes;
    };
    return Buffer.concat([start, ...Array.from({ length: blocks }, (_, index) => block(index === blocks - 1))]);
  }

  test.each<[string, () => Promise<Layer[]>]>([
    ['gzip', async () => [gzipped(await tarOf([zeros(8 * 1024 * 1024)]))]],
    [
      'gzip of many members',
      async () => {
        const archive = await tarOf([zeros(8 * 1024 * 1024)]);
        const members = Array.from({ length: 9 }, (_, at) => gzipSync(archive.subarray(at << 20, (at + 1) << 20)));
        return [{ mediaType: ZSTD_LAYER, bytes: Buffer.concat(members) }];
      },
    ],
    ['zstd blocks of one byte', async () => [{ mediaType: ZSTD_LAYER, bytes: zstdZeros(1000) }]],
    [
      'zstd of many frames',
      async () => [{ mediaType: ZSTD_LAYER, bytes: Buffer.concat(Array.from({ length: 200 }, () => zstdZeros(1))) }],
    ],
  ])('unpacked bytes are bounded by the packed ones: %s', async (_, imageOfZeros) => {
    await expect(sbomOf(await imageOfZeros(), { limits: small })).rejects.toMatchObject({
      code: 'SBOM_LIMIT',
      details: { name: 'unpackedRatio', limit: 100 },
    });
  });

  test('a layer of zeros passes if it is small; a large layer passes if it is not empty', async () => {
    const a = npmPackage('node_modules/a', 'a', '1.0.0');
    const noise: Entry = ['noise', randomBytes(40_000)];
    for (const layer of [await layerOf(zeros(900 * 1024), a), await layerOf(noise, zeros(3 * 1024 * 1024), a)]) {
      expect((await sbomOf([layer], { limits: small })).purls).toEqual(['pkg:npm/a@1.0.0']);
    }
  });

  test('the ratio does not depend on the order in which layers arrive', async () => {
    const zeros = await layerOf(['zeros', Buffer.alloc(600_000)]);
    const random = await layerOf(['random', randomBytes(20_000)]);
    let blobs = 0;
    // After the config, the largest layer is opened first.
    const beforeBlob = async (): Promise<void> => {
      blobs += 1;
      if (blobs === 2) await new Promise((resolve) => setTimeout(resolve, 100));
    };
    const limits = { freeUnpackedBytes: 10_000 };
    expect((await sbomOf([zeros, random], { limits, beforeBlob })).gaps).toEqual([]);
  });

  test('gigabytes from a few kilobytes stop at freeUnpackedBytes', async () => {
    let read = 0;
    const image = [{ mediaType: ZSTD_LAYER, bytes: zstdZeros(800_000) }];
    const refused = sbomOf(image, {
      limits: { freeUnpackedBytes: 64 * 1024 ** 2 },
      chunkBytes: 64 * 1024,
      onProgress: (bytes) => (read = bytes),
    });
    await expect(refused).rejects.toMatchObject({ code: 'SBOM_LIMIT', details: { name: 'unpackedRatio' } });
    expect(read).toBeLessThan((image[0]?.bytes.length ?? 0) - 64 * 1024);
  });

  test.each<[string, Buffer]>([
    ['a window', zstdZeros(1, { window: 0xf8 })],
    ['a segment', Buffer.from('28b52ffde0ffffffffff0f0000010000', 'hex')],
  ])('%s that is larger than any packer makes it', async (_, bytes) => {
    await expect(sbomOf([{ mediaType: ZSTD_LAYER, bytes }])).rejects.toMatchObject({
      code: 'SBOM_LIMIT',
      details: { name: 'zstdWindowBytes' },
    });
  });

  test('layers, frames, headers, bytes read and the document have limits', async () => {
    const frames = { mediaType: ZSTD_LAYER, bytes: Buffer.concat([zstdZeros(1), zstdZeros(1)]) };
    const layer = await layerOf(npmPackage('node_modules/a', 'a', '1.0.0'));
    const rows: [Layer, object, string][] = [
      [frames, { zstdFrames: 1 }, 'zstdFrames'],
      [layer, { readBytes: 20 }, 'readBytes'],
      [layer, { documentBytes: 500 }, 'documentBytes'],
      [layer, { entries: 0 }, 'entries'],
      [layer, { layers: 0 }, 'layers'],
    ];
    for (const [each, limits, name] of rows) {
      await expect(sbomOf([each], { limits })).rejects.toMatchObject({ code: 'SBOM_LIMIT', details: { name } });
    }
  });
});

describe('extended headers', () => {
  test('hundreds of thousands of unused records are skipped', async () => {
    const records = '5 a=\n'.repeat(200_000);
    const bytes = Buffer.concat([
      ...Array.from({ length: 20 }, () => file({ type: 'x' }, records)),
      file({ name: 'node_modules/a/package.json' }, '{"name":"a","version":"1"}'),
      END,
    ]);
    const cpuMs = cpuTimer();
    expect((await sbomOf([{ mediaType: PLAIN_LAYER, bytes }])).purls).toEqual(['pkg:npm/a@1']);
    // An earlier version took more than a second for 20 MB; it is 0.1 s now.
    expect(cpuMs()).toBeLessThan(5000);
  });

  test.each(['0 a=b\n', '5a=\n', '5 a=', '6 a\0=\n', '4 a\n', '1234567890 a=b\n', '-5 a=\n', '8 path=\0\n'])(
    'a record %j is malformed',
    (record) => {
      expect(parsePaxRecords(Buffer.from(record))).toBeUndefined();
    },
  );

  test('the last value of a repeated key is used, and unknown keys are dropped', () => {
    const records = parsePaxRecords(Buffer.from('10 path=a\n13 comment=1\n11 path=ü\n21 GNU.sparse.name=s\n'));
    expect([...(records ?? [])]).toEqual([
      ['path', 'ü'],
      ['GNU.sparse.name', 's'],
    ]);
  });
});
