import { describe, expect, test } from '@jest/globals';
import { EntryContent } from '../../../src/sbom/layers/layer-file.js';

/** An entry whose pieces are overwritten when the next one is read. */
function entryOf(text: string, pieceBytes: number, failAt = Infinity): ConstructorParameters<typeof EntryContent>[0] {
  let at = 0;
  let last: Buffer | undefined;
  return {
    size: text.length,
    mode: 0o755,
    head: Buffer.from(text.slice(0, 256)),
    next: async () => {
      last?.fill('#');
      if (at >= failAt) throw new Error('the layer ends');
      if (at >= text.length) return undefined;
      last = Buffer.from(text.slice(at, at + pieceBytes));
      at += pieceBytes;
      return last;
    },
  };
}

const TEXT = Array.from({ length: 1000 }, (_, index) => `line ${index}`).join('\n');
const joined = async (chunks: AsyncIterable<Uint8Array>): Promise<string> => {
  let text = '';
  for await (const chunk of chunks) text += Buffer.from(chunk).toString();
  return text;
};

describe('one file for several readers', () => {
  test.each([1, 100, 257, 100_000])('each gets all bytes, in pieces of %d bytes', async (pieceBytes) => {
    const content = new EntryContent(entryOf(TEXT, pieceBytes));
    const read = await content.readBy([
      async (file) => await joined(file.chunks()),
      async (file) => Buffer.from(await file.whole()).toString(),
      (file) => `${file.size} ${file.mode} ${Buffer.from(file.head).toString()}`,
      async (file) => {
        for await (const chunk of file.chunks()) return Buffer.from(chunk).toString().slice(0, 1);
        return '';
      },
    ]);
    expect(read).toEqual([TEXT, TEXT, `${TEXT.length} 493 ${TEXT.slice(0, 256)}`, 'l']);
  });

  test('an empty file has no pieces', async () => {
    const content = new EntryContent(entryOf('', 10));
    expect(
      await content.readBy<unknown>([async (file) => await joined(file.chunks()), (file) => file.head.length]),
    ).toEqual(['', 0]);
  });

  test('an error of the layer reaches all readers, and an error of one reader ends its file only', async () => {
    const broken = new EntryContent(entryOf(TEXT, 300, 900));
    await expect(broken.readBy<unknown>([(file) => joined(file.chunks()), (file) => file.whole()])).rejects.toThrow(
      'the layer ends',
    );
    expect(broken.hasFailed).toBe(true);
    const content = new EntryContent(entryOf(TEXT, 300));
    const others: string[] = [];
    const failing = content.readBy<unknown>([
      () => {
        throw new Error('no reader');
      },
      async (file) => others.push(await joined(file.chunks())),
    ]);
    await expect(failing).rejects.toThrow('no reader');
    expect(others).toEqual([TEXT]);
  });
});
