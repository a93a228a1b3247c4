import { gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  GZIP_LAYER,
  PLAIN_LAYER,
  ZSTD_LAYER,
  npmPackage,
  sbomOf,
  tarOf,
  type Entry,
  type Layer,
} from '../../support/sbom-image.js';
import { propertyRuns } from '../../support/property-runs.js';
import { END, header } from './raw-tar.js';
import { cpuTimer } from '../../support/cpu-timer.js';

const IS_FULL = process.env['FULL'] === '1';
const a = npmPackage('node_modules/a', 'a', '1.0.0');
const b = npmPackage('node_modules/b', 'b', '1.0.0');
const REFUSED = { code: expect.stringMatching(/^(?:LAYER_INVALID|SBOM_LIMIT)$/) as unknown };
const link = (name: string, linkname: string): Entry => [name, { type: 'symlink', linkname }];

async function purlsOf(...layers: Layer[]): Promise<string[]> {
  return (await sbomOf(layers)).purls;
}

const plain = (bytes: Buffer): Layer => ({ mediaType: PLAIN_LAYER, bytes });

const PACKED: [string, (archive: Buffer) => Layer][] = [
  ['plain', plain],
  ['gzip', (archive) => ({ mediaType: GZIP_LAYER, bytes: gzipSync(archive) })],
  ['zstd', (archive) => ({ mediaType: ZSTD_LAYER, bytes: zstdCompressSync(archive) })],
];

describe('a layer that is cut off anywhere', () => {
  test.each(PACKED)('%s, is refused, or is an archive without an end marker', async (_, pack) => {
    const { mediaType, bytes } = pack(await tarOf([a, ['x', 'y'.repeat(700)], b]));
    const step = IS_FULL ? 1 : Math.max(1, Math.ceil(bytes.length / 25));
    for (let length = 1; length < bytes.length; length += step) {
      const cut = { mediaType, bytes: bytes.subarray(0, length) };
      try {
        const { purls } = await sbomOf([cut]);
        expect(mediaType).toBe(PLAIN_LAYER);
        expect(['pkg:npm/a@1.0.0', 'pkg:npm/b@1.0.0'].slice(0, purls.length)).toEqual(purls);
      } catch (error) {
        expect(error).toMatchObject(REFUSED);
      }
    }
  });

  test('and changed anywhere, has no other error', async () => {
    const archive = await tarOf([a, ['x', 'y'.repeat(700)], b]);
    const layers = PACKED.map(([, pack]) => pack(archive));
    const change = fc.record({ at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), byte: fc.nat(255) });
    await fc.assert(
      fc.asyncProperty(fc.nat(2), fc.array(change, { minLength: 1, maxLength: 4 }), async (which, changes) => {
        const { mediaType, bytes: whole } = layers[which] ?? plain(archive);
        const bytes = Buffer.from(whole);
        for (const { at, byte } of changes) bytes[Math.floor(at * bytes.length)] = byte;
        await sbomOf([{ mediaType, bytes }]).catch((error: unknown) => expect(error).toMatchObject(REFUSED));
      }),
      { numRuns: propertyRuns(IS_FULL ? 20_000 : 400) },
    );
  });
});

describe('paths and links', () => {
  test('that climb out of the image stay inside', async () => {
    const climbing = npmPackage('../../../node_modules/a', 'a', '1.0.0');
    const behind = npmPackage('out/node_modules/b', 'b', '1.0.0');
    expect(await purlsOf(plain(await tarOf([climbing, link('out', '../../../..'), behind])))).toEqual([
      'pkg:npm/a@1.0.0',
      'pkg:npm/b@1.0.0',
    ]);
  });

  test('in a circle are a gap', async () => {
    const circle = [link('one', 'two'), link('two', 'one/'), npmPackage('one/node_modules/a', 'a', '1.0.0')];
    const { purls, gaps } = await sbomOf([plain(await tarOf([...circle, b]))]);
    expect(purls).toEqual(['pkg:npm/b@1.0.0']);
    expect(gaps).toEqual(['a path with too many symbolic links (one/node_modules/a/package.json)']);
  });

  test('that lead to themselves end', async () => {
    const self = [link('node_modules', 'node_modules'), link('here', '.'), link('deep', 'deep/deep/deep')];
    expect(await purlsOf(plain(await tarOf(self)))).toEqual([]);
  });

  test('that multiply at each step are bounded', async () => {
    const chain = Array.from({ length: 60 }, (_, index) => link(`l${index}`, `l${index + 1}/../l${index + 1}`));
    const files = Array.from({ length: 200 }, (_, index): Entry => [`l0/x${index}`, '']);
    const cpuMs = cpuTimer();
    await sbomOf([plain(await tarOf([...chain, ...files]))]).catch((error: unknown) =>
      expect(error).toMatchObject(REFUSED),
    );
    expect(cpuMs()).toBeLessThan(10_000);
  });
});

test('a million entries take time that is proportional to their number', async () => {
  const count = IS_FULL ? 1_000_000 : 10_000;
  const entries: Buffer[] = [];
  for (let index = 0; index < count; index += 1) {
    const kind = index % 4;
    const name = `d${index % 997}/e${index % 31}/${kind === 3 ? '.wh.' : ''}f${index}`;
    entries.push(kind === 1 ? header({ name, type: '2', link: `../f${index - 1}` }) : header({ name }));
  }
  const tail = await tarOf([a]);
  const bytes = Buffer.concat([...entries, tail.subarray(0, -1024), END]);
  const cpuMs = cpuTimer();
  expect(await purlsOf(plain(bytes))).toEqual(['pkg:npm/a@1.0.0']);
  // It is 10 µs for an entry.
  expect(cpuMs()).toBeLessThan(5000 + count / 10);
}, 300_000);
