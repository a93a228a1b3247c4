import { expect, test } from '@jest/globals';
import { BlobReading, skipping } from '../../../../src/oci/registry/blob-reading.js';

const BYTES = Buffer.from(Array.from({ length: 100 }, (_, index) => index));
const tooShort = new Error('too short');

/** A blob in chunks of 8 bytes. Records the offsets at which it was opened and the number of chunks read. */
function blob(bytes: Uint8Array = BYTES) {
  const opened: number[] = [];
  let chunks = 0;
  let closed = 0;
  const openAt = async (offset: number): Promise<AsyncIterable<Uint8Array>> => {
    opened.push(offset);
    return (async function* () {
      try {
        for (let at = offset; at < bytes.length; at += 8) {
          chunks += 1;
          yield bytes.subarray(at, Math.min(at + 8, bytes.length));
        }
      } finally {
        closed += 1;
      }
    })();
  };
  return { opened, asked: () => chunks, closed: () => closed, reading: new BlobReading(openAt, () => tooShort) };
}

async function bytesOf(piece: AsyncIterable<Uint8Array>): Promise<number[]> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of piece) chunks.push(chunk);
  return Buffer.concat(chunks).toJSON().data;
}

test('consecutive pieces share one open body', async () => {
  const { reading, opened, closed } = blob();
  expect(await bytesOf(reading.piece(0, 30))).toEqual([...BYTES.subarray(0, 30)]);
  expect(await bytesOf(reading.piece(30, 60))).toEqual([...BYTES.subarray(30, 60)]);
  expect(await bytesOf(reading.piece(60, 100))).toEqual([...BYTES.subarray(60)]);
  await reading.expectEnd();
  await reading.close();
  expect(opened).toEqual([0]);
  expect(closed()).toBe(1);
});

test('a piece is read when its last part was yielded, though nobody has asked for the end of it', async () => {
  const { reading, opened, closed } = blob();
  const sent: number[] = [];
  // A registry has answered before the sender asks for more.
  for (const [start, end] of [
    [0, 30],
    [30, 60],
    [60, 100],
  ] as const) {
    const piece = reading.piece(start, end);
    for (let position = start; position < end;) {
      const part = (await piece.next()).value ?? new Uint8Array();
      sent.push(...part);
      position += part.length;
    }
  }
  await reading.expectEnd();
  expect(sent).toEqual([...BYTES]);
  expect(opened).toEqual([0]);
  await reading.close();
  expect(closed()).toBe(1);
});

test('a chunk is yielded before the next one is read', async () => {
  const { reading, asked } = blob();
  const piece = reading.piece(0, 40);
  await piece.next();
  expect(asked()).toBe(1);
  await piece.next();
  expect(asked()).toBe(2);
});

test('an interrupted piece is opened again and closes only its own body', async () => {
  const { reading, opened, closed } = blob();
  const broken = reading.piece(0, 30);
  await broken.next();
  const again = reading.piece(0, 30);
  const first = await again.next();
  await broken.return(undefined);
  expect(closed()).toBe(1);
  expect([...(first.value ?? []), ...(await bytesOf(again))]).toEqual([...BYTES.subarray(0, 30)]);
  expect(opened).toEqual([0, 0]);
});

test('a blob with too few or too many bytes is an error', async () => {
  const short = blob(BYTES.subarray(0, 50)).reading;
  await expect(bytesOf(short.piece(0, 100))).rejects.toBe(tooShort);
  const long = blob().reading;
  await bytesOf(long.piece(0, 50));
  await expect(long.expectEnd()).rejects.toBe(tooShort);
});

test('a body without offsets is skipped up to the offset', async () => {
  const openAt = skipping(async function* () {
    for (let at = 0; at < BYTES.length; at += 8) yield BYTES.subarray(at, at + 8);
  });
  expect(await bytesOf(await openAt(0))).toEqual([...BYTES]);
  expect(await bytesOf(await openAt(16))).toEqual([...BYTES.subarray(16)]);
  expect(await bytesOf(await openAt(21))).toEqual([...BYTES.subarray(21)]);
});
