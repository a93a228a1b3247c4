import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { once, PromoterError } from '../../src/oci/index.js';
import { SBOM_LIMITS } from '../../src/sbom/limits.js';
import { readTar } from '../../src/sbom/layers/tar.js';
import { unpackLayer } from '../../src/sbom/layers/unpack.js';
import { describeWithPeers } from '../support/peers.js';
import { startLayerOracle, type LayerOracle, type Unpacked } from './layers/layer-oracle.js';
import { base64, ourTree } from './layers/our-tree.js';
import { dockerArchive, mutatedLayer, packed, randomOf, simpleLayer } from './layers/mutated-layers.js';

/** Layers, from a fixed seed; on a machine that is not CI fewer. */
const LAYERS = process.env['CI'] !== undefined || process.env['FULL'] === '1' ? 20_000 : 2000;
const SEED = Number(process.env['LAYER_SEED'] ?? 1);
/** Layers that the oracle has not answered yet. */
const AT_ONCE = 64;

/** An entry, with its names as base64, because they are bytes. */
interface Entry {
  name: string;
  type: string;
  link: string;
  size: number;
  crc32: number;
  sparse?: boolean;
  doubt?: string | undefined;
}

/**
 * Without devices and pipes, of which some are whiteouts to overlayfs, without folders, which alone hold no package, and without hard
 * links that lead nowhere, which are gaps.
 */
function withContent(files: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(files).filter(([, what]) => !/^(?:other|folder|unresolved)$/.test(what)));
}

const TYPES: Record<string, string> = {
  '0': 'file',
  '7': 'file',
  S: 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '5': 'directory',
  g: 'removal',
};

/** containerd and we look at the first bytes of a layer of this type. */
const LAYER = { digest: `sha256:${'0'.repeat(64)}` as const, mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip' };

async function read(layer: Uint8Array): Promise<{ entries: Entry[]; code?: string }> {
  const entries: Entry[] = [];
  try {
    const unpacked = unpackLayer(once(layer), LAYER, () => Promise.resolve());
    await readTar(unpacked, LAYER.digest, SBOM_LIMITS, async (entry) => {
      let sum = 0;
      let size = 0;
      for (let bytes = await entry.next(); bytes !== undefined; bytes = await entry.next()) {
        sum = crc32(bytes, sum);
        size += bytes.length;
      }
      const { name, linkName, type, sparse, doubt } = entry;
      entries.push({ name: base64(name), type, link: base64(linkName), size, crc32: sum, sparse, doubt });
    });
  } catch (error) {
    if (!(error instanceof PromoterError)) throw error;
    return { entries, code: error.code };
  }
  return { entries };
}

describeWithPeers('a layer is what Go and containerd read', ['go'], ([go = '']) => {
  let folder: string;
  let oracle: LayerOracle;

  beforeAll(async () => {
    folder = await mkdtemp(join('/dev/shm', 'acr-promoter-layers-'));
    oracle = await startLayerOracle(go, folder);
  }, 300_000);

  afterAll(async () => {
    await oracle?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** Calls `each` with layers and what the oracle reads of them, many at once. */
  async function compareAll(
    make: (random: () => number) => Buffer[],
    count: number,
    each: (shown: string, layers: Buffer[], theirs: Unpacked) => Promise<void>,
  ): Promise<void> {
    const random = randomOf(SEED);
    let next = 0;
    const work = async (): Promise<void> => {
      while (next < count) {
        const shown = `number ${next++} of seed ${SEED}`;
        const layers = make(random);
        await each(shown, layers, await oracle.unpack(layers));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  }

  /** True if it was read, false if it was refused. */
  async function compareEntries(
    shown: string,
    layer: Buffer,
    { layers }: Unpacked,
  ): Promise<'equal' | 'sparse' | 'refused'> {
    const [theirs] = layers;
    if (theirs === undefined) throw new Error('the oracle is silent');
    const ours = await read(layer);
    const isSparse = ours.entries.some(({ sparse }) => sparse);
    if (theirs.error !== undefined) {
      // Pieces of sparse files are not read, so what is wrong with them is not seen; the SBOM says that it did not read them.
      if (!isSparse) expect({ shown, code: ours.code, why: theirs.error }).toMatchObject({ code: 'LAYER_INVALID' });
      return 'refused';
    }
    const flat = (each: Entry): unknown => {
      if (each.sparse) return { ...each, type: 'sparse' };
      const { name, type, link, size, crc32: sum } = each;
      return { name, type, link: type === 'removal' ? '' : link, size, crc32: sum };
    };
    expect({ shown, entries: ours.entries.map(flat), code: ours.code }).toEqual({
      shown,
      entries: theirs.entries.map((each, index) => {
        const mine = ours.entries[index];
        if (mine?.sparse) return { ...mine, name: each.name, link: each.link, type: 'sparse' };
        const type = TYPES[each.type] ?? 'other';
        // Go reads the records of a global header in a random order, up to one that is wrong.
        const isRandom = type === 'removal' && mine?.doubt !== undefined;
        return flat({ ...each, type, name: isRandom ? mine.name : each.name });
      }),
      code: undefined,
    });
    return isSparse ? 'sparse' : 'equal';
  }

  test('entry by entry', async () => {
    const seen = { equal: 0, refused: 0, sparse: 0 };
    await compareAll(
      (random) => [mutatedLayer(random)],
      LAYERS,
      async (shown, [layer = Buffer.alloc(0)], theirs) => {
        seen[await compareEntries(shown, layer, theirs)] += 1;
      },
    );
    if (process.env['LAYER_SEED'] !== undefined) console.log(seen);
    // One that refuses everything, or nothing, would prove nothing.
    expect(seen.equal / LAYERS).toBeGreaterThan(0.5);
    expect(seen.refused / LAYERS).toBeGreaterThan(0.1);
    expect(seen.sparse / LAYERS).toBeGreaterThan(0.01);
  }, 600_000);

  test('however it is compressed', async () => {
    const count = LAYERS / 10;
    const seen = { equal: 0, refused: 0, sparse: 0 };
    await compareAll(
      (random) => [packed(random, mutatedLayer(random))],
      count,
      async (shown, [layer = Buffer.alloc(0)], theirs) => {
        // What Go refuses and zlib does not has another digest than any config could name, or the same bytes.
        if (theirs.layers[0]?.error === undefined) seen[await compareEntries(shown, layer, theirs)] += 1;
        else seen.refused += 1;
      },
    );
    if (process.env['LAYER_SEED'] !== undefined) console.log(seen);
    expect(seen.equal / count).toBeGreaterThan(0.3);
    expect(seen.refused / count).toBeGreaterThan(0.3);
  }, 600_000);

  test('file by file, over several layers', async () => {
    const count = LAYERS / 4;
    const seen = { equal: 0, doubtful: 0, refused: 0 };
    await compareAll(
      (random) => Array.from({ length: 1 + Math.floor(random() * 3) }, () => mutatedLayer(random, 0.1)),
      count,
      async (shown, layers, { layers: read, native, overlay }) => {
        const isRefused = read.some(({ error }) => error !== undefined);
        if (isRefused || (native.error !== undefined && overlay.error !== undefined)) {
          seen.refused += 1;
          return;
        }
        const { files, doubts } = await ourTree(layers);
        if (doubts.length > 0) {
          seen.doubtful += 1;
          return;
        }
        for (const theirs of [native, overlay])
          if (theirs.error === undefined)
            expect({ shown, files: withContent(files) }).toEqual({ shown, files: withContent(theirs.files) });
        seen.equal += 1;
      },
    );
    if (process.env['LAYER_SEED'] !== undefined) console.log(seen);
    expect(seen.equal / count).toBeGreaterThan(0.2);
  }, 600_000);
});

describeWithPeers('the files of an image are those that crane exports', ['crane'], ([crane = '']) => {
  test('without links and opaque folders, which crane does not follow', async () => {
    const random = randomOf(SEED);
    const most = LAYERS / 200;
    let equal = 0;
    for (let count = 0; count < most; count += 1) {
      const layers = Array.from({ length: 1 + Math.floor(random() * 4) }, () => simpleLayer(random));
      const { files, doubts } = await ourTree(layers);
      // A file below what is no folder in a lower layer.
      if (doubts.length > 0) continue;
      const input = dockerArchive(layers);
      const { entries } = await read(execFileSync(crane, ['export', '-', '-'], { input, stdio: 'pipe' }));
      const theirs = entries
        .filter(({ type }) => type === 'file')
        .map(({ name, size, crc32: sum }) => [name, `file ${size} ${sum.toString(16).padStart(8, '0')}`]);
      expect({ count, files: withContent(files) }).toEqual({ count, files: Object.fromEntries(theirs) });
      equal += 1;
    }
    expect(equal / most).toBeGreaterThan(0.5);
  }, 120_000);
});
