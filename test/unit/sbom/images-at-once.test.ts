import { expect, test } from '@jest/globals';
import { digestOf } from '../../../src/oci/index.js';
import { createStreamingSbomGenerator, type Sbom } from '../../../src/sbom/index.js';
import { layerOf, npmPackage } from '../../support/sbom-image.js';
import { startedReaders } from '../../support/start-thread.js';

const layer = await layerOf(npmPackage('node_modules/a', 'a', '1.0.0'));
const digest = digestOf(layer.bytes);
const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf(Buffer.from('{}')), size: 2 };
/** An image of this layer. */
const image = {
  descriptor: { mediaType: 'm', digest, size: 1 },
  manifest: {
    kind: 'image' as const,
    mediaType: 'm',
    config,
    layers: [{ mediaType: layer.mediaType, digest, size: layer.bytes.length }],
  },
};

test('one generator reads two images at the same time; the others wait, in their order, and a wait can be aborted', async () => {
  const generator = createStreamingSbomGenerator({ startsAtOnce: true });
  const opened: string[] = [];
  const ends: (() => void)[] = [];
  const generate = (name: string, signal = new AbortController().signal): Promise<Sbom[]> =>
    generator.generate({
      ...image,
      name,
      signal,
      async openBlob(blob) {
        if (blob.digest === digest) {
          opened.push(name);
          await new Promise<void>((resolve) => ends.push(resolve));
        }
        return (async function* () {
          yield blob.digest === digest ? layer.bytes : Buffer.from('{}');
        })();
      },
    });
  const opens = async (count: number): Promise<void> => {
    while (opened.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
    await new Promise((resolve) => setTimeout(resolve, 50));
  };
  const stop = new AbortController();
  const running = [generate('a'), generate('b'), generate('c', stop.signal), generate('d'), generate('e')];
  const ended = Promise.allSettled(running);
  await opens(2);
  expect(opened).toEqual(['a', 'b']);
  stop.abort(new Error('no longer wanted'));
  await expect(running[2]).rejects.toThrow('no longer wanted');
  ends[0]?.();
  await opens(3);
  expect(opened).toEqual(['a', 'b', 'd']);
  ends[1]?.();
  await opens(4);
  for (const end of ends) end();
  const statuses = (await ended).map(({ status }) => status);
  expect(statuses).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
});

test('the thread of a small image reads the next one, unless its image failed', async () => {
  const generator = createStreamingSbomGenerator();
  const before = startedReaders();
  const generate = (name: string, layerBytes: Uint8Array = layer.bytes): Promise<Sbom[]> =>
    generator.generate({
      ...image,
      name,
      signal: new AbortController().signal,
      openBlob: async (blob) =>
        (async function* () {
          yield blob.digest === digest ? layerBytes : Buffer.from('{}');
        })(),
    });
  const started: number[] = [];
  const [first] = await generate('a');
  started.push(startedReaders() - before);
  expect(await generate('a')).toEqual([first]);
  started.push(startedReaders() - before);
  await expect(generate('a', Buffer.from(layer.bytes).fill(0xff, 20))).rejects.toMatchObject({ code: 'LAYER_INVALID' });
  started.push(startedReaders() - before);
  expect(await generate('a')).toEqual([first]);
  started.push(startedReaders() - before);
  expect(started).toEqual([1, 1, 1, 2]);
});
