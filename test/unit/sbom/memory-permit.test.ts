import { describe, expect, test } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { MemoryPermit, MemoryTaken } from '../../../src/sbom/worker/memory-permit.js';
import { npmPackage, sbomOf, tarOf, type Layer } from '../../support/sbom-image.js';

const MIB = 1024 * 1024;
const BLOCK_BYTES = 128 * 1024;

/** A zstd frame of stored blocks that needs a window of 16 MiB. */
function frameOf(content: Buffer): Buffer {
  const pieces: Buffer[] = [Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, (24 - 10) << 3])];
  for (let at = 0; at < content.length; at += BLOCK_BYTES) {
    const block = content.subarray(at, at + BLOCK_BYTES);
    const header = Buffer.alloc(3);
    header.writeUIntLE((block.length << 3) | (at + BLOCK_BYTES < content.length ? 0 : 1), 0, 3);
    pieces.push(header, block);
  }
  return Buffer.concat(pieces);
}

async function layerWithWindow(name: string): Promise<Layer> {
  const tar = await tarOf([npmPackage(`node_modules/${name}`, name, '1.0.0'), [name, randomBytes(4 * MIB)]]);
  return { mediaType: 'application/vnd.oci.image.layer.v1.tar+zstd', bytes: frameOf(tar) };
}

test('a layer that must wait for memory is closed meanwhile, and the SBOM is the same', async () => {
  const layers = await Promise.all(['a', 'b'].map(layerWithWindow));
  const events: string[] = [];
  const { bytes, counts } = await sbomOf(layers, {
    onOpen: () => void events.push('open'),
    onClose: () => void events.push('close'),
  });
  expect(counts).toEqual({ npm: 2 });
  // The config; two layers, of which one is closed, and opened again after the other one has ended.
  expect(events).toEqual(['open', 'close', 'open', 'open', 'close', 'close', 'open', 'close']);
  expect((await sbomOf(layers, { layersAtOnce: 1 })).bytes).toEqual(bytes);
});

describe('the permit', () => {
  test('is for one layer at a time', async () => {
    const permit = new MemoryPermit();
    const end = permit.takeForOpenLayer();
    expect(() => permit.takeForOpenLayer()).toThrow(MemoryTaken);
    await expect(permit.takeForFile()).rejects.toThrow(MemoryTaken);
    const later = permit.takeForLayer();
    end();
    expect(() => permit.takeForOpenLayer()).toThrow(MemoryTaken);
    (await later)();
    permit.takeForOpenLayer()();
  });

  test('is for one file at a time, and the file of another layer waits', async () => {
    const permit = new MemoryPermit();
    const end = await permit.takeForFile();
    let isTaken = false;
    const later = permit.takeForFile().then((endLater) => {
      isTaken = true;
      return endLater;
    });
    expect(() => permit.takeForOpenLayer()).toThrow(MemoryTaken);
    expect(isTaken).toBe(false);
    end();
    (await later)();
    permit.takeForOpenLayer()();
  });
});
