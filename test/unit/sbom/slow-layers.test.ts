import { expect, test } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { digestOf } from '../../../src/oci/index.js';
import { PIECE_BYTES } from '../../../src/sbom/messages.js';
import { layerOf, npmPackage, sbomOf } from '../../support/sbom-image.js';

// A layer that is not read completely when the time limit is reached.

const MIB = 1024 * 1024;
const timeOver = (): DOMException => new DOMException('The operation was aborted due to timeout', 'TimeoutError');

test('the time limit names the layer that is not read, and the bytes that have arrived', async () => {
  const layer = await layerOf(['large', randomBytes(4 * MIB)]);
  const time = new AbortController();
  // Whole pieces have arrived when the time is over.
  const arrived = Math.ceil(MIB / PIECE_BYTES) * PIECE_BYTES;
  const result = sbomOf([layer], {
    signal: time.signal,
    chunkBytes: MIB / 16,
    onProgress: (readBytes, totalBytes) => {
      if (readBytes >= MIB && readBytes < totalBytes) time.abort(timeOver());
    },
  });
  await expect(result).rejects.toMatchObject({
    code: 'LAYER_TOO_SLOW',
    transient: true,
    remedy: expect.any(String),
    details: { layer: digestOf(layer.bytes), readBytes: arrived, size: layer.bytes.length },
    message: expect.stringContaining(`${arrived} of ${layer.bytes.length} bytes in `),
  });
});

test('a layer whose registry sends nothing is named, too', async () => {
  const layer = await layerOf(['a', 'b']);
  const time = new AbortController();
  let opened = 0;
  const result = sbomOf([layer], {
    signal: time.signal,
    beforeBlob: async () => {
      opened += 1;
      // The config comes first.
      if (opened === 1) return;
      time.abort(timeOver());
      await new Promise(() => {});
    },
  });
  await expect(result).rejects.toMatchObject({ code: 'LAYER_TOO_SLOW', details: { readBytes: 0 } });
});

test('a run that is cancelled meanwhile ends with its reason', async () => {
  const cancelled = new Error('cancelled');
  const stop = new AbortController();
  const onOpen = (opened: readonly string[]): void => (opened.length > 1 ? stop.abort(cancelled) : undefined);
  await expect(sbomOf([await layerOf(['a', 'b'])], { signal: stop.signal, onOpen })).rejects.toBe(cancelled);
});

test('layers are read one at a time if the caller asks for it, and the SBOM is the same', async () => {
  const names = ['a', 'b', 'c', 'd', 'e'];
  const layers = await Promise.all(
    names.map((name) => layerOf(npmPackage(`app/node_modules/${name}`, name, '1.0.0'), [name, randomBytes(MIB)])),
  );
  const mostOpen = async (layersAtOnce?: number): Promise<[number, Uint8Array]> => {
    let open = 0;
    let most = 0;
    const { bytes } = await sbomOf(layers, {
      chunkBytes: MIB / 16,
      onOpen: () => void (most = Math.max(most, (open += 1))),
      onClose: () => void (open -= 1),
      // Time for others to be opened, too.
      beforeBlob: async () => {
        for (let turn = 0; turn < 50; turn += 1) await setImmediate();
      },
      ...(layersAtOnce !== undefined && { layersAtOnce }),
    });
    return [most, bytes];
  };
  const [usual, whole] = await mostOpen();
  expect(usual).toBeGreaterThan(1);
  expect(await mostOpen(1)).toEqual([1, whole]);
});
