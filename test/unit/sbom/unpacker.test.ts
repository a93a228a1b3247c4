import { MessageChannel } from 'node:worker_threads';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from '@jest/globals';
import { digestOf } from '../../../src/oci/index.js';
import {
  PIECE_BYTES,
  PIECES_AHEAD,
  type FromUnpacker,
  type ToUnpacked,
  type Unpacked,
} from '../../../src/sbom/messages.js';
import { startUnpacker } from '../../support/start-thread.js';

const LAYER = {
  mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
  digest: `sha256:${'0'.repeat(64)}`,
  size: 1,
} as const;
const CONTENT = Buffer.alloc(10 * PIECE_BYTES, 'layer');

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

/** A thread that unpacks one layer, and what it has sent. */
function start(packed: Buffer) {
  const unpacker = startUnpacker();
  const { port1, port2 } = new MessageChannel();
  const toMain: FromUnpacker[] = [];
  const toReader: Unpacked[] = [];
  unpacker.listen(
    (message) => toMain.push(message),
    () => {},
  );
  port1.on('message', (message: Unpacked) => toReader.push(message));
  unpacker.post({ type: 'start', reader: port2, zstdWindowBytes: 1024 }, [port2]);
  unpacker.post({ type: 'open', id: 1, layer: LAYER, algorithm: 'sha256' }, []);
  const bytes = Uint8Array.from(packed);
  unpacker.post({ type: 'piece', id: 1, bytes }, [bytes.buffer]);
  ends.push(() => {
    port1.close();
    void unpacker.end();
  });
  const answer = (message: ToUnpacked): void => port1.postMessage(message, []);
  return { unpacker, answer, toMain, toReader };
}

/** Waits until both ends have nothing more to do. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

describe('the thread that unpacks a layer', () => {
  test('is as far ahead of its reader as it may be, and tells the digest at the end', async () => {
    const { unpacker, answer, toReader } = start(gzipSync(CONTENT));
    unpacker.post({ type: 'end', id: 1 }, []);
    await settled();
    expect(toReader.map(({ type }) => type)).toEqual(Array<string>(PIECES_AHEAD).fill('piece'));
    for (let pulled = 0; pulled < 10; pulled += 1) answer({ type: 'pull', id: 1 });
    await settled();
    const pieces = toReader.flatMap((message) => (message.type === 'piece' ? [message.bytes] : []));
    expect(Buffer.concat(pieces).equals(CONTENT)).toBe(true);
    expect(toReader.at(-1)).toEqual({ type: 'end', id: 1, frames: 0, diffId: digestOf(CONTENT) });
  });

  test('asks for no more bytes and sends none once its reader needs no more', async () => {
    const { answer, toMain, toReader } = start(gzipSync(CONTENT));
    await settled();
    answer({ type: 'close', id: 1 });
    for (let pulled = 0; pulled < 10; pulled += 1) answer({ type: 'pull', id: 1 });
    await settled();
    expect(toReader).toHaveLength(PIECES_AHEAD);
    expect(toMain.filter(({ type }) => type === 'close')).toHaveLength(1);
  });

  test('tells why a layer does not unpack, and asks for no more of it', async () => {
    const packed = gzipSync(CONTENT);
    packed.fill(0xff, 20, 40);
    const { toMain, toReader } = start(packed);
    await settled();
    expect(toReader).toMatchObject([{ type: 'failed', error: { code: 'LAYER_INVALID', isInput: true } }]);
    expect(toMain).toContainEqual({ type: 'close', id: 1 });
  });
});
