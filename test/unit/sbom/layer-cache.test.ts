import { describe, expect, test } from '@jest/globals';
import { layerOf, npmPackage, PLAIN_LAYER, sbomOf, tarOf, type Entry, type Layer } from '../../support/sbom-image.js';
import { END, file, header, pax } from './raw-tar.js';

const a = npmPackage('app/node_modules/a', 'a', '1.0.0');
const b = npmPackage('app/node_modules/b', 'b', '1.0.0');
const status = (name: string): Entry => [
  'var/lib/dpkg/status',
  `Package: ${name}\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\n`,
];
const LAYERS: Entry[][] = [
  [a, b, status('old'), ['etc/os-release', 'ID=debian\nVERSION_ID=12\n'], ['var/lib/pacman/local/a/desc', 'x']],
  [['app/node_modules/.wh.a', ''], status('new'), ['link', { type: 'symlink', linkname: 'var' }]],
  [
    ['app/.wh..wh..opq', ''],
    ['store', npmPackage('', 'c', '3.0.0')[1]],
    ['app/node_modules/c/package.json', { type: 'link', linkname: 'store' }],
  ],
  [npmPackage('other/node_modules/b', 'b', '2.0.0'), ['app/node_modules/d', { type: 'symlink', linkname: '../e' }]],
];
const image = (): Promise<Layer[]> => Promise.all(LAYERS.map((entries) => layerOf(...entries)));

/** A store in memory. */
function memory(): { kept: Map<string, Uint8Array>; layers: NonNullable<Parameters<typeof sbomOf>[1]>['layers'] } {
  const kept = new Map<string, Uint8Array>();
  const read = async (key: string): Promise<Uint8Array | undefined> => kept.get(key);
  return { kept, layers: { read, write: async (key, bytes) => void kept.set(key, bytes) } };
}

describe('layers that were read before', () => {
  test('are not read again, and the result is the same byte for byte', async () => {
    const images = await image();
    const whole = await sbomOf(images);
    const { kept, layers } = memory();
    const first = await sbomOf(images, { layers });
    const told: [number, number][] = [];
    const second = await sbomOf(images, { layers, onProgress: (...now) => void told.push(now) });
    for (const each of [first, second]) {
      expect(Buffer.from(each.bytes).toString()).toBe(Buffer.from(whole.bytes).toString());
      expect([each.counts, each.gaps]).toEqual([whole.counts, whole.gaps]);
    }
    expect(kept.size).toBe(LAYERS.length);
    // The config alone; the first reading opened one layer twice, for the hard link.
    expect(second.opened).toHaveLength(1);
    expect(first.opened).toHaveLength(1 + LAYERS.length + 1);
    expect(told.at(-1)).toEqual([told[0]?.[1], told[0]?.[1]]);
    for (const key of kept.keys()) expect(key).toMatch(/^[\w-]{1,200}$/);
  });

  test('of another image are used for a shared base', async () => {
    const [base, ...others] = await image();
    if (base === undefined) throw new Error('no layer');
    const { layers } = memory();
    await sbomOf([base, ...others], { layers });
    const upper = await layerOf(npmPackage('new/node_modules/n', 'n', '1.0.0'));
    const { opened, bytes } = await sbomOf([base, upper], { layers });
    expect(opened).toHaveLength(2);
    expect(bytes).toEqual((await sbomOf([base, upper])).bytes);
  });

  test('do not grow with each image that finds other files behind links', async () => {
    const base = await layerOf(['store', npmPackage('', 'c', '3.0.0')[1]], ['f', 'y']);
    const linking = await layerOf(['app/node_modules/c/package.json', { type: 'link', linkname: 'store' }]);
    const other = await layerOf(['other', 'z']);
    const { kept, layers } = memory();
    const limits = { entries: 8 };
    expect((await sbomOf([base, linking], { layers, limits })).purls).toEqual(['pkg:npm/c@3.0.0']);
    const before = new Map(kept);
    for (let time = 0; time < 5; time += 1) {
      const { opened, purls } = await sbomOf([base, other], { layers, limits });
      expect(purls).toEqual([]);
      expect(opened.length).toBe(time === 0 ? 2 : 1);
    }
    for (const [key, bytes] of before) expect(kept.get(key)).toEqual(bytes);
  });

  test('give the same gaps, also for a sparse file that is not where its name says', async () => {
    const link = await tarOf([['a.dist-info', { type: 'symlink', linkname: 'data' }]]);
    const sparse = Buffer.concat([
      file({ name: 'pax', type: 'x' }, pax('GNU.sparse.major=0', 'GNU.sparse.minor=1', 'GNU.sparse.map=0,0')),
      header({ name: 'a.dist-info/METADATA', bytes: [[100, Buffer.from('0000755')]] }),
    ]);
    const lower = Buffer.concat([link.subarray(0, -END.length), sparse, END]);
    const image = [{ mediaType: PLAIN_LAYER, bytes: lower }, await layerOf(['.wh.a.dist-info', ''])];
    const { layers } = memory();
    const first = await sbomOf(image, { layers });
    expect(first.gaps).toEqual(['a sparse file (data/METADATA)']);
    expect((await sbomOf(image, { layers })).bytes).toEqual(first.bytes);
  });

  test('are those that ended before a crash', async () => {
    const images = await image();
    const { kept, layers } = memory();
    await expect(
      sbomOf(images, { layers, limits: { layersAtOnce: 1 }, onOpen: ({ length }) => dieAt(length, 3) }),
    ).rejects.toThrow('killed');
    expect(kept.size).toBe(2);
    const { opened, purls } = await sbomOf(images, { layers });
    expect(opened.length).toBeLessThan(1 + LAYERS.length + 1);
    expect(purls).toEqual((await sbomOf(images)).purls);
  });

  test('count for the limits', async () => {
    const images = await image();
    const { layers } = memory();
    await sbomOf(images, { layers, limits: { packages: 6 } });
    for (const limits of [{ packages: 1 }, { entries: 3 }, { readBytes: 10 }])
      await expect(sbomOf(images, { layers, limits })).rejects.toMatchObject({ code: 'SBOM_LIMIT' });
  });

  test('count for the limits as if no other image had needed more of them', async () => {
    const manifest = '{"name":"a","version":"1.0.0"}';
    const base = await layerOf(
      ['app/node_modules/a/package.json', manifest],
      ['store', npmPackage('', 'c', '3.0.0')[1]],
    );
    const withLink = await layerOf(['app/node_modules/c/package.json', { type: 'symlink', linkname: '/store' }]);
    const { layers } = memory();
    await sbomOf([base, withLink], { layers });
    for (const limits of [{ packages: 1 }, { readBytes: manifest.length }])
      expect((await sbomOf([base], { layers, limits })).counts).toEqual({ npm: 1 });
    for (const limits of [{ packages: 1 }, { readBytes: manifest.length }])
      await expect(sbomOf([base, withLink], { layers, limits })).rejects.toMatchObject({ code: 'SBOM_LIMIT' });
    expect((await sbomOf([base, withLink], { layers, limits: { packages: 2 } })).counts).toEqual({ npm: 2 });
  });

  test('are read again if they are damaged, and if a limit differs', async () => {
    const images = await image();
    const { kept, layers } = memory();
    const whole = await sbomOf(images, { layers });
    expect((await sbomOf(images, { layers, limits: { pathBytes: 50 } })).opened.length).toBeGreaterThan(LAYERS.length);
    const spoil: ((bytes: Uint8Array) => Uint8Array)[] = [
      () => Buffer.from('no'),
      () => new Uint8Array(0),
      (bytes) => bytes.subarray(0, 40),
      (bytes) => bytes.map((byte, at) => (at === bytes.length - 1 ? byte ^ 1 : byte)),
    ];
    for (const spoilt of spoil) {
      for (const [key, bytes] of kept) kept.set(key, spoilt(bytes));
      const { opened, purls } = await sbomOf(images, { layers });
      expect(opened.length).toBeGreaterThan(LAYERS.length);
      expect(purls).toEqual(whole.purls);
    }
  });

  test('a store that fails ends the call with its error', async () => {
    const fails = async (): Promise<never> => {
      throw new Error('the store is away');
    };
    const images = await image();
    for (const layers of [
      { ...memory().layers, read: fails, write: async () => {} },
      { read: async () => undefined, write: fails },
    ])
      await expect(sbomOf(images, { layers })).rejects.toThrow('the store is away');
  });
});

function dieAt(count: number, limit: number): void {
  if (count > limit) throw new Error('killed');
}
