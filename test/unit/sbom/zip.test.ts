import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { randomBytes } from 'node:crypto';
import { ZIP_LIMITS, ZipBudget, ZipLimitError } from '../../../src/sbom/catalogers/zip-budget.js';
import { readZip, startsAsJar } from '../../../src/sbom/catalogers/zip.js';
import { layerFile } from '../../support/layer-file.js';
import { propertyRuns } from '../../support/property-runs.js';
import { rawZip, type RawEntry } from '../../support/raw-zip.js';

const reader = {
  wants: (name: string): boolean => name.startsWith('wanted'),
  async read(_name: string, content: AsyncIterable<Uint8Array>): Promise<string> {
    let text = '';
    for await (const piece of content) text += Buffer.from(piece).toString('latin1');
    return text;
  },
};

async function read(
  bytes: Uint8Array,
  { chunkBytes = 64 * 1024, size = bytes.length } = {},
): Promise<{ entries: [string, string][]; unread: string[] } | undefined> {
  const found = await readZip(layerFile(bytes, { chunkBytes }).chunks(), reader, new ZipBudget(size));
  return found && { entries: found.entries.map(({ name, value }) => [name, value]), unread: found.unread };
}

const filler: RawEntry = { name: 'filler', content: randomBytes(3000), descriptor: true };

describe('a zip archive', () => {
  test.each<[string, RawEntry[], Parameters<typeof rawZip>[1]?]>([
    ['stored', [{ name: 'wanted', content: 'hello', method: 'store' }]],
    ['deflated', [filler, { name: 'wanted', content: 'hello' }]],
    ['with sizes behind the content', [filler, { name: 'wanted', content: 'hello', descriptor: true }, filler]],
    ['with 64-bit sizes behind', [filler, { name: 'wanted', content: 'hello', descriptor: 'long' }, filler]],
    ['with 64-bit sizes before', [filler, { name: 'wanted', content: 'hello', zip64: true }, filler]],
    ['with a 64-bit directory', [filler, { name: 'wanted', content: 'hello' }], { zip64: true }],
    ['with a comment', [filler, { name: 'wanted', content: 'hello' }], { comment: 'PK\x05\x06 and more' }],
    ['behind a script', [filler, { name: 'wanted', content: 'hello' }], { prefix: Buffer.from('#!/bin/sh\nPK\n') }],
    [
      'behind a script, and 64-bit',
      [filler, { name: 'wanted', content: 'hello', zip64: true }],
      { prefix: Buffer.from('#!/bin/sh\n'), zip64: true },
    ],
    [
      'behind a script that the offsets count',
      [filler, { name: 'wanted', content: 'hello' }],
      { prefix: Buffer.from('#!/bin/sh\n'), countsPrefix: true },
    ],
    [
      'after an empty folder',
      [
        { name: 'a/', method: 'store', descriptor: true },
        { name: 'wanted', content: 'hello' },
      ],
    ],
    [
      'after content that looks like the end of another entry',
      [
        { name: 'x', content: Buffer.from('..PK\x07\x08aaaabbbbccccPK\x03\x04'), method: 'store', descriptor: true },
        { name: 'wanted', content: 'hello' },
      ],
    ],
  ])('%s is read, in pieces of any size', async (...[, entries, options]) => {
    const bytes = rawZip(entries, options);
    for (const chunkBytes of [Infinity, 1000, 17, 1]) {
      expect(await read(bytes, { chunkBytes })).toEqual({ entries: [['wanted', 'hello']], unread: [] });
    }
  });

  test('entries that are larger than what is inflated at once are read', async () => {
    const content = randomBytes(1_500_000).toString('latin1');
    for (const descriptor of [true, false]) {
      const bytes = rawZip([{ name: 'wanted', content: Buffer.from(content, 'latin1'), descriptor }, filler]);
      expect(await read(bytes, { chunkBytes: 50_000 })).toEqual({ entries: [['wanted', content]], unread: [] });
    }
  });

  test('an entry that the central directory does not list does not exist', async () => {
    const bytes = rawZip([
      { name: 'wanted-1', content: 'hidden', listedAs: null },
      { name: 'wanted-2', content: 'listed' },
    ]);
    expect(await read(bytes)).toEqual({ entries: [['wanted-2', 'listed']], unread: [] });
  });

  test.each<[string, RawEntry[], string]>([
    ['has another name', [{ name: 'other', listedAs: 'wanted' }], 'wanted differs from the central directory'],
    ['has another size', [{ name: 'wanted', listedMore: 1 }], 'wanted differs from the central directory'],
    ['is encrypted', [{ name: 'wanted', isEncrypted: true }], 'wanted is encrypted'],
    ['is compressed in another way', [{ name: 'wanted', method: 14 }], 'wanted has the compression method 14'],
    ['does not inflate', [{ name: 'wanted', content: 'plain', method: 8 }], 'wanted does not inflate'],
    [
      'forges the end of its content',
      [
        {
          name: 'wanted',
          content: Buffer.from('....PK\x07\x08aaaa\x04\0\0\0\x04\0\0\0....', 'latin1'),
          method: 'store',
          descriptor: true,
        },
      ],
      'wanted differs from the central directory',
    ],
  ])('an entry that %s is named', async (_, entries, reason) => {
    expect(await read(rawZip([...entries, { name: 'wanted-2', content: 'x' }]))).toEqual({
      entries: [['wanted-2', 'x']],
      unread: [reason],
    });
  });

  test('an entry that a false size hides is named', async () => {
    const bytes = rawZip([
      { name: 'x', content: 'x', method: 'store' },
      { name: 'wanted', content: 'hello' },
    ]);
    // The local header of the first entry claims the second one as its content.
    bytes.writeUInt32LE(40, 18);
    expect(await read(bytes)).toEqual({ entries: [], unread: ['wanted differs from the central directory'] });
  });

  test('an entry that is listed twice is read twice, and one that both point to as well', async () => {
    const twice = rawZip([
      { name: 'wanted', content: 'one' },
      { name: 'wanted', content: 'two' },
    ]);
    expect((await read(twice))?.entries).toEqual([
      ['wanted', 'one'],
      ['wanted', 'two'],
    ]);
  });

  test('an empty archive is one, and a file without a directory is none', async () => {
    expect(await read(rawZip([]))).toEqual({ entries: [], unread: [] });
    const whole = rawZip([filler, { name: 'wanted', content: 'hello' }]);
    for (const bytes of [Buffer.alloc(0), Buffer.from('hello'), randomBytes(100_000), whole.subarray(0, -30)]) {
      expect(await read(bytes)).toBeUndefined();
    }
  });

  test('the start of a file shows that it is a jar', () => {
    expect(startsAsJar(rawZip([{ name: 'META-INF/MANIFEST.MF' }]))).toBe(true);
    expect(startsAsJar(rawZip([{ name: 'meta/x' }]))).toBe(false);
    expect(startsAsJar(Buffer.from('PK'))).toBe(false);
  });
});

describe('limits', () => {
  const limits = { ...ZIP_LIMITS, headers: 100, heldBytes: 10_000, inflatedBytes: 2_000_000 };
  const readLimited = (bytes: Buffer): Promise<unknown> =>
    readZip(layerFile(bytes).chunks(), reader, new ZipBudget(bytes.length, limits));

  test('content that inflates to more than the limit is refused', async () => {
    expect(await readLimited(rawZip([{ name: 'wanted', content: Buffer.alloc(1_900_000) }]))).toBeDefined();
    const bytes = rawZip([{ name: 'wanted', content: Buffer.alloc(5_000_000) }]);
    await expect(readLimited(bytes)).rejects.toThrow(ZipLimitError);
  });

  test('a directory that is larger than the limit is refused', async () => {
    const bytes = Buffer.concat([rawZip([filler]), Buffer.alloc(limits.heldBytes)]);
    await expect(readLimited(bytes)).rejects.toThrow(ZipLimitError);
  });

  test('more entries than the limit are refused, each counted where it is and where it is listed', async () => {
    const entries = (count: number): RawEntry[] => Array.from({ length: count }, (_, index) => ({ name: `${index}` }));
    expect(await readLimited(rawZip(entries(50)))).toBeDefined();
    await expect(readLimited(rawZip(entries(51)))).rejects.toThrow(ZipLimitError);
  });

  test('an error of the source is passed on', async () => {
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield rawZip([{ name: 'wanted', content: randomBytes(600_000) }]).subarray(0, 500_000);
      throw new RangeError('from the registry');
    }
    await expect(readZip(failing(), reader, new ZipBudget(1000))).rejects.toThrow('from the registry');
  });
});

test('each wanted entry is read or named, and pieces make no difference, also in a damaged archive', async () => {
  const entry = fc.record({
    name: fc.constantFrom('wanted', 'wanted/a', 'other', 'b/'),
    content: fc.oneof(fc.string(), fc.uint8Array({ maxLength: 300 })),
    method: fc.constantFrom('store' as const, 'deflate' as const),
    descriptor: fc.constantFrom<NonNullable<RawEntry['descriptor']>[]>(true, false, 'long'),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(entry, { maxLength: 6 }),
      fc.integer({ min: 1, max: 400 }),
      fc.option(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 }))),
      async (entries, chunkBytes, damage) => {
        const bytes = rawZip(entries);
        const wanted = entries.filter(({ name }) => reader.wants(name)).length;
        if (damage === null) {
          const found = await read(bytes, { chunkBytes });
          expect((found?.entries.length ?? 0) + (found?.unread.length ?? 0)).toBe(wanted);
          return;
        }
        const [place, change] = damage;
        bytes[place % bytes.length] = (bytes[place % bytes.length] ?? 0) ^ change;
        const once = await read(bytes);
        expect(await read(bytes, { chunkBytes })).toEqual(once);
      },
    ),
    { numRuns: propertyRuns(20_000, 200) },
  );
});
