import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { PLAIN_LAYER, npmPackage, sbomOf, tarOf, twoArchives, type Entry } from '../../support/sbom-image.js';
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

/** A header whose checksum is written in base 256, which Go does not read. */
function withChecksum256(block: Buffer): Buffer {
  const sum = Number.parseInt(block.toString('latin1', 148, 154), 8);
  block.fill(0, 148, 156)[148] = 0x80;
  block.writeUInt16BE(sum, 154);
  return block;
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

  test('the POSIX prefix is used, but not in archives of star and older ones', async () => {
    const split = { name: 'a/package.json', prefix: 'node_modules' };
    expect(await read(file(split, MANIFEST), END)).toEqual(['a@1.0.0']);
    expect(
      await read(file({ ...split, magic: 'ustar\x0000', bytes: [[508, Buffer.from('tar\0')]] }, MANIFEST), END),
    ).toEqual(['a@1.0.0']);
    expect(await read(file({ ...split, magic: 'ustar ' }, MANIFEST), END)).toEqual([]);
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

  test('entries of types that containerd refuses are skipped with their content and are a gap', async () => {
    const unknown = file({ name: PATH, type: 'Z' }, '{"name":"no","version":"0.0.0"}');
    const bytes = Buffer.concat([unknown, await tarOf([b])]);
    const { purls, gaps } = await sbomOf([{ mediaType: PLAIN_LAYER, bytes }]);
    expect(purls).toEqual(['pkg:npm/b@1.0.0']);
    expect(gaps).toEqual([`an entry of type "Z" (${PATH})`]);
  });

  test('attributes by which overlayfs hides files are a gap', async () => {
    const attribute = 'SCHILY.xattr.trusted.overlay.opaque';
    const bytes = Buffer.concat([file({ type: 'x' }, pax(`${attribute}=y`)), header({ name: 'd', type: '5' }), END]);
    const { gaps } = await sbomOf([{ mediaType: PLAIN_LAYER, bytes }]);
    expect(gaps).toEqual([`an entry with the attribute ${attribute} (d)`]);
  });

  test('a global header removes what has its name', async () => {
    const found = file({ name: PATH }, MANIFEST);
    const global = file({ name: 'g', type: 'g' }, pax('path=node_modules/a/package.json'));
    expect(await read(found, global, END)).toEqual([]);
  });

  test('a sparse file is a gap, and its map is not an entry', async () => {
    const sparse = header({ name: PATH, type: 'S', magic: 'ustar  ', size: 512, bytes: [[482, Buffer.from([1])]] });
    const map = [Buffer.alloc(512, 1), Buffer.alloc(512)];
    const bytes = Buffer.concat([sparse, ...map, Buffer.alloc(512, 'x'), await tarOf([b])]);
    const old = await sbomOf([{ mediaType: PLAIN_LAYER, bytes }]);
    expect(old.purls).toEqual(['pkg:npm/b@1.0.0']);
    expect(old.gaps).toEqual([`an entry of type "S" (${PATH})`, `npm: a sparse file (${PATH})`]);
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

// Ways of writing a tar that once hid a package from us and not from containerd.
describe('a package is found', () => {
  const long = (name: string): Buffer => file({ name: '././@LongLink', type: 'L', magic: 'ustar  ' }, name);
  const extended = (...records: string[]): Buffer => file({ name: 'pax', type: 'x' }, pax(...records));
  const global = file({ name: 'pax_global_header', type: 'g' }, pax('comment=x'));
  const found = file({ name: PATH }, MANIFEST);
  const size = (bytes: Buffer): Buffer => file({ name: PATH, bytes: [[124, bytes]] }, MANIFEST);
  const octal = MANIFEST.length.toString(8);
  test.each<[string, Buffer[]]>([
    ['behind an empty long name', [long('\0'), found]],
    ['behind a long name without bytes', [long(''), found]],
    ['behind a long name that a global header ends', [long('elsewhere\0'), global, found]],
    ['behind a pax name that a global header ends', [extended('path=elsewhere'), global, found]],
    ['behind a pax size that a global header ends', [extended('size=0'), global, found]],
    ['behind a sparse name without a version', [extended('GNU.sparse.name=elsewhere'), found]],
    ['behind a sparse name of an unknown version', [extended('GNU.sparse.name=x', 'GNU.sparse.major=7'), found]],
    ['beside a name with a byte order mark', [found, file({ name: `\uFEFF${PATH}` }, '{}')]],
    ['beside a long name with a byte order mark', [found, long(`\uFEFF${PATH}\0`), file({ name: 'x' }, '{}')]],
    [
      'behind a pax key with a byte order mark',
      [file({ type: 'x' }, Buffer.from(pax('\xef\xbb\xbfpath=elsewhere'), 'latin1')), found],
    ],
    ['with a size that starts with a zero byte', [size(Buffer.from(`\0${octal}`.padEnd(12, '\0')))]],
    ['with a size between spaces and zero bytes', [size(Buffer.from(` \0 ${octal} \0`.padEnd(12, '\0')))]],
    ['with a pax size that has a sign', [extended(`size=+${MANIFEST.length}`), file({ name: PATH }, MANIFEST)]],
    ['with a pax size that has zeros before it', [extended(`size=${'0'.repeat(20)}${MANIFEST.length}`), found]],
    [
      'with a prefix under the magic number of GNU',
      [file({ name: 'a/package.json', prefix: 'node_modules', magic: 'ustar  ' }, MANIFEST)],
    ],
    ['that stands twice, by its last entry', [file({ name: PATH }, '{"name":"old","version":"0"}'), found]],
    [
      'that a file with the name of a folder followed',
      [found, file({ name: 'node_modules' }, ''), header({ name: 'node_modules/', type: '5' }), found],
    ],
  ])('%s', async (_, archive) => {
    expect(await read(...archive, END)).toEqual(['a@1.0.0']);
  });

  test('under a whiteout of a name that differs in a byte that is not UTF-8', async () => {
    const name = (text: string): [number, Buffer][] => [[0, Buffer.from(text, 'latin1')]];
    const lower = Buffer.concat([file({ bytes: name(`\xff/${PATH}`) }, MANIFEST), END]);
    const upper = Buffer.concat([file({ name: '', bytes: name('.wh.\xfe') }, ''), END]);
    const { purls } = await sbomOf([lower, upper].map((bytes) => ({ mediaType: PLAIN_LAYER, bytes })));
    expect(purls).toEqual(['pkg:npm/a@1.0.0']);
  });

  test('in a plain tar that starts like a zstd frame that is skipped', async () => {
    const bytes = await twoArchives([a], await tarOf([b]));
    expect(await read(bytes)).toEqual(['a@1.0.0']);
  });
});

describe('an invalid archive is refused', () => {
  test.each<[string, () => Buffer | Promise<Buffer>]>([
    ['a wrong checksum', async () => (await tarOf([a])).fill('b', 0, 1)],
    ['a zero block and a part of another', async () => Buffer.concat([await open(a), Buffer.alloc(700)])],
    ['a number of a device that is none', () => Buffer.concat([header({ bytes: [[329, Buffer.from('x')]] }), END])],
    ['a checksum in base 256', () => Buffer.concat([withChecksum256(header({})), END])],
    [
      'a size below zero behind a pax size',
      () =>
        Buffer.concat([file({ type: 'x' }, pax('size=0')), header({ bytes: [[124, Buffer.alloc(12, 0xff)]] }), END]),
    ],
    [
      'a link that is sparse',
      () => Buffer.concat([file({ type: 'x' }, pax('GNU.sparse.map=0,0')), header({ type: '2', link: 'x' }), END]),
    ],
    ['a sparse file under the magic number of POSIX', () => Buffer.concat([header({ type: 'S' }), END])],
    ['a pax time that is no number', () => Buffer.concat([file({ type: 'x' }, pax('mtime=1.x')), header({}), END])],
    ['a pax owner with a zero in it', () => file({ type: 'x' }, pax('uname=a\0b'))],
    ['pieces of a sparse file in the wrong order', () => file({ type: 'x' }, pax('GNU.sparse.numbytes=1'))],
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
  ])('because of %s', async (_, make) => {
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
