import { describe, expect, test } from '@jest/globals';
import { layerOf, npmPackage, sbomOf, type Entry, type Layer } from '../../support/sbom-image.js';

// A call after a crash continues below the layers in the stored state.

const a = npmPackage('app/node_modules/a', 'a', '1.0.0');
const b = npmPackage('app/node_modules/b', 'b', '1.0.0');
const status = (name: string): Entry => [
  'var/lib/dpkg/status',
  `Package: ${name}\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\n`,
];
const osRelease: Entry = ['etc/os-release', 'ID=debian\nVERSION_ID=12\n'];
const rpm: Entry = ['var/lib/rpm/rpmdb.sqlite', 'x'];
const LAYERS: Entry[][] = [
  [a, b, status('old'), osRelease, rpm],
  [['app/node_modules/.wh.a', ''], status('new')],
  [['app/.wh..wh..opq', ''], npmPackage('app/node_modules/c', 'c', '3.0.0')],
  [npmPackage('other/node_modules/b', 'b', '2.0.0'), ['app/node_modules/d', { type: 'symlink', linkname: '../e' }]],
];

function keeper(): {
  kept: { read: () => Promise<Uint8Array | undefined>; write: (bytes: Uint8Array) => Promise<void>; everyMs: number };
  bytes: () => Uint8Array | undefined;
  set: (bytes: Uint8Array) => void;
} {
  let kept: Uint8Array | undefined;
  return {
    kept: { read: async () => kept, write: async (bytes) => void (kept = bytes), everyMs: 0 },
    bytes: () => kept,
    set: (bytes) => void (kept = bytes),
  };
}

const image = (): Promise<Layer[]> => Promise.all(LAYERS.map((entries) => layerOf(...entries)));
/** Fails, as a dying process would, when a number of blobs has been opened: the config, then layers from the top. */
const dyingAt =
  (count: number) =>
  (opened: readonly string[]): void => {
    if (opened.length > count) throw new Error('killed');
  };

describe('a stored state', () => {
  test.each([1, 2, 3])('after %s layers gives the same bytes and only the layers below are read', async (read) => {
    const layers = await image();
    const whole = await sbomOf(layers);
    const { kept } = keeper();
    await expect(sbomOf(layers, { kept, onOpen: dyingAt(1 + read) })).rejects.toThrow('killed');
    const told: [number, number][] = [];
    const rest = await sbomOf(layers, { kept, onProgress: (done, total) => void told.push([done, total]) });
    expect(Buffer.from(rest.bytes).toString()).toBe(Buffer.from(whole.bytes).toString());
    expect([rest.counts, rest.gaps]).toEqual([whole.counts, whole.gaps]);
    expect(rest.opened).toHaveLength(1 + LAYERS.length - read);
    expect(told.at(-1)).toEqual([told[0]?.[1], told[0]?.[1]]);
  });

  test('with one layer in each call, the SBOM is finished', async () => {
    const layers = await image();
    const { kept } = keeper();
    for (let call = 1; call < LAYERS.length; call += 1)
      await expect(sbomOf(layers, { kept, onOpen: dyingAt(2) })).rejects.toThrow('killed');
    const last = await sbomOf(layers, { kept, onOpen: dyingAt(2) });
    expect(last.purls).toEqual((await sbomOf(layers)).purls);
  });

  test('limits include the layers of earlier calls', async () => {
    const layers = await image();
    const { kept } = keeper();
    await expect(sbomOf(layers, { kept, onOpen: dyingAt(2) })).rejects.toThrow('killed');
    await expect(sbomOf(layers, { kept, limits: { packages: 1 } })).rejects.toMatchObject({ code: 'SBOM_LIMIT' });
  });

  test('of another image or version, or a damaged one, is ignored', async () => {
    const layers = await image();
    const { kept, bytes, set } = keeper();
    await sbomOf(layers.slice(1), { kept });
    const other = await sbomOf(layers, { kept });
    expect(other.opened).toHaveLength(1 + LAYERS.length);
    for (const spoilt of [Buffer.from('no'), Buffer.from([]), (bytes() ?? Buffer.from([])).subarray(0, 40)]) {
      set(spoilt);
      const anew = await sbomOf(layers, { kept });
      expect(anew.opened).toHaveLength(1 + LAYERS.length);
      expect(anew.purls).toEqual(other.purls);
    }
  });

  test('is not written by default for an image that is read within seconds', async () => {
    const { kept, bytes } = keeper();
    const { everyMs: _often, ...rarely } = kept;
    await sbomOf(await image(), { kept: rarely });
    expect(bytes()).toBeUndefined();
  });
});
