import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { PLAIN_LAYER, npmPackage, sbomOf, tarOf, type Entry } from '../../support/sbom-image.js';
import { END, file, header, pax } from './raw-tar.js';
import { propertyRuns } from '../../support/property-runs.js';

const a = npmPackage('node_modules/a', 'a', '1.0.0');
const b = npmPackage('node_modules/b', 'b', '1.0.0');

async function read(...archives: Buffer[]): Promise<string[]> {
  const { purls } = await sbomOf([{ mediaType: PLAIN_LAYER, bytes: Buffer.concat(archives) }]);
  return purls.map((purl) => purl.replace('pkg:npm/', ''));
}

/** The entries without the end marker. */
async function open(...entries: Entry[]): Promise<Buffer> {
  return (await tarOf(entries)).subarray(0, -1024);
}

const MANIFEST = '{"name":"a","version":"1.0.0"}';
const PATH = 'node_modules/a/package.json';
describe('archives are read as container runtimes read them', () => {
  test('pax and GNU names that exceed a header are read', async () => {
    const folder = `${'long/'.repeat(60)}node_modules/a`;
    expect(await read(await tarOf([npmPackage(folder, 'a', '1.0.0')]))).toEqual(['a@1.0.0']);
    const gnu = file({ name: '././@LongLink', type: 'L', magic: 'ustar  ' }, `${folder}/package.json\0`);
    expect(await read(gnu, file({ name: 'cut' }, MANIFEST), END)).toEqual(['a@1.0.0']);
  });

  test('the POSIX prefix is used, but not in GNU and older archives', async () => {
    const split = { name: 'a/package.json', prefix: 'node_modules' };
    expect(await read(file(split, MANIFEST), END)).toEqual(['a@1.0.0']);
    expect(await read(file({ ...split, magic: 'ustar  ' }, MANIFEST), END)).toEqual([]);
    expect(await read(file({ name: PATH, magic: '', type: '\0' }, MANIFEST), END)).toEqual(['a@1.0.0']);
  });

  test('packages and whiteouts after the end marker are ignored', async () => {
    expect(await read(await tarOf([a]), await tarOf([b]))).toEqual(['a@1.0.0']);
    const lower = { mediaType: PLAIN_LAYER, bytes: await tarOf([a]) };
    const upper = {
      mediaType: PLAIN_LAYER,
      bytes: Buffer.concat([await tarOf([b]), await tarOf([['.wh.node_modules', '']])]),
    };
    expect((await sbomOf([lower, upper])).purls).toEqual(['pkg:npm/a@1.0.0', 'pkg:npm/b@1.0.0']);
  });

  test('bytes after the end marker need not be an archive', async () => {
    expect(await read(await tarOf([a]), Buffer.alloc(3000, 'noise'))).toEqual(['a@1.0.0']);
  });

  test('a global header does not rename an entry', async () => {
    const global = file({ name: 'global', type: 'g' }, pax('path=elsewhere', 'comment=made by git'));
    expect(await read(global, file({ name: PATH }, MANIFEST), END)).toEqual(['a@1.0.0']);
  });

  test('the size in a pax header is used, also in base 256', async () => {
    const size = Buffer.from([0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, MANIFEST.length]);
    expect(await read(file({ name: PATH, bytes: [[124, size]] }, MANIFEST), END)).toEqual(['a@1.0.0']);
    const extended = file({ name: 'pax', type: 'x' }, pax(`size=${MANIFEST.length}`));
    expect(await read(extended, file({ name: PATH, size: 0 }, MANIFEST), END)).toEqual(['a@1.0.0']);
  });

  test('links and folders have no content, whatever their size', async () => {
    const link = header({ name: 'l', type: '2', link: 'x', size: 4096 });
    const folder = header({ name: 'd/', type: '5', size: 4096 });
    expect(await read(link, folder, file({ name: PATH }, MANIFEST), END)).toEqual(['a@1.0.0']);
  });

  test('entries of unknown types are skipped with their content', async () => {
    const unknown = file({ name: PATH, type: 'Z' }, '{"name":"no","version":"0.0.0"}');
    expect(await read(unknown, await tarOf([b]))).toEqual(['b@1.0.0']);
  });

  test('a sparse file is a gap, and its map is not an entry', async () => {
    const sparse = header({ name: PATH, type: 'S', magic: 'ustar  ', size: 512, bytes: [[482, Buffer.from([1])]] });
    const map = [Buffer.alloc(512, 1), Buffer.alloc(512)];
    const bytes = Buffer.concat([sparse, ...map, Buffer.alloc(512, 'x'), await tarOf([b])]);
    const old = await sbomOf([{ mediaType: PLAIN_LAYER, bytes }]);
    expect(old.purls).toEqual(['pkg:npm/b@1.0.0']);
    expect(old.gaps).toEqual([`npm: a sparse file (${PATH})`]);
    const records = pax('GNU.sparse.major=1', 'GNU.sparse.minor=0', `GNU.sparse.name=${PATH}`);
    const modern = Buffer.concat([
      file({ name: 'pax', type: 'x' }, records),
      file({ name: 'node_modules/a/GNUSparseFile.0/package.json' }, '1\n0\n'),
      END,
    ]);
    expect((await sbomOf([{ mediaType: PLAIN_LAYER, bytes: modern }])).gaps).toEqual([`npm: a sparse file (${PATH})`]);
  });

  test('archives of tar-stream are read in chunks of any size', async () => {
    const name = fc.stringMatching(/^[a-zA-Z0-9._ öß-]{1,120}$/);
    const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
    const files = fc.uniqueArray(fc.tuple(path, fc.uint8Array({ maxLength: 1500 })), {
      maxLength: 12,
      selector: ([key]) => key,
    });
    await fc.assert(
      fc.asyncProperty(files, fc.integer({ min: 1, max: 2000 }), async (entries, chunkBytes) => {
        const bytes = await tarOf([...entries.map(([key, content]): Entry => [`f/${key}`, content]), a]);
        const { purls } = await sbomOf([{ mediaType: PLAIN_LAYER, bytes }], { chunkBytes });
        expect(purls).toEqual(['pkg:npm/a@1.0.0']);
      }),
      { numRuns: propertyRuns(60) },
    );
  });
});

describe('an invalid archive is refused', () => {
  test.each<[string, () => Buffer | Promise<Buffer>]>([
    ['a wrong checksum', async () => (await tarOf([a])).fill('b', 0, 1)],
    ['a zero block before a header', async () => Buffer.concat([Buffer.alloc(512), await tarOf([a])])],
    ['a size that is no number', () => header({ bytes: [[124, Buffer.from('nonsense!')]] })],
    ['a size below zero', () => header({ bytes: [[124, Buffer.alloc(12, 0xff)]] })],
    ['a size beyond counting', () => header({ bytes: [[124, Buffer.from([0xbf, ...Array<number>(11).fill(0xff)])]] })],
    ['a file that is longer than the archive', () => header({ size: 4096 })],
    ['a long name that is longer than the archive', () => header({ type: 'L', size: 4096 })],
    ['a sparse file whose map has no end', () => header({ type: 'S', bytes: [[482, Buffer.from([1])]] })],
    ['pax records without a length', () => file({ type: 'x' }, 'path=x\n')],
    ['pax records that run over', () => file({ type: 'x' }, '99 path=x\n')],
    ['pax records without a name', () => file({ type: 'x' }, pax('=x'))],
    ['a pax path with a zero in it', () => file({ type: 'x' }, pax('path=a\0b'))],
    ['a pax size that is no number', () => Buffer.concat([file({ type: 'x' }, pax('size=-1')), header({}), END])],
  ])('%s', async (_, make) => {
    await expect(read(await make())).rejects.toMatchObject({ code: 'LAYER_INVALID' });
  });

  test('random bytes are always LAYER_INVALID', async () => {
    const valid = await open(a, ['x', 'y'.repeat(700)], b);
    const change = fc.record({ at: fc.nat(valid.length - 1), byte: fc.nat(255) });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), fc.boolean(), async (changes, cut) => {
        const bytes = Buffer.from(valid);
        for (const { at, byte } of changes) bytes[at] = byte;
        const given = cut ? bytes.subarray(0, changes[0]?.at) : bytes;
        try {
          await read(given);
        } catch (error) {
          expect(error).toMatchObject({ code: expect.stringMatching(/^(?:LAYER_INVALID|SBOM_LIMIT)$/) });
        }
      }),
      { numRuns: propertyRuns(300) },
    );
  });
});
