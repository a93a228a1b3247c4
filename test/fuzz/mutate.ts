/** Random numbers from 0 to 1. */
export type Random = () => number;

/** Bytes of the longest input: a database of a few packages. */
const LONGEST_INPUT = 16 * 1024;

/** Numbers at which readers count wrongly. */
const NUMBERS = [0, 1, 2, 7, 8, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff]; // prettier-ignore
/** Texts that mean something in one of the formats. */
const WORDS = [
  '\n', '\n\n', '\r\n', ':', ': ', '=', '"', "'", '\\', '\\u0000', '\0', '\t', ' ', '/', '../', '//', '{', '}', '[', ']', '[[[[', '{"":', ',', '|', '()', '%s', '-1', '0',
  '1e999', '99999999999999999999', 'null', 'true', '__proto__', 'constructor', 'toString', '\uFEFF', '\ud83d', '\xff\xfe', '${v}', '<![CDATA[', '<!--', '&lt;', '.freeze',
  'Package:', 'License:', 'Files: *', ' .\n', 'F:', 'R:', 'P:', 'name', 'version',
]; // prettier-ignore

function below(random: Random, end: number): number {
  return Math.floor(random() * end);
}

export function pick<T>(random: Random, from: readonly T[]): T {
  const picked = from[below(random, from.length)];
  if (picked === undefined) throw new RangeError('nothing to pick from');
  return picked;
}

/** The bytes with `removed` of them, from `at`, replaced. */
function spliced(bytes: Buffer, at: number, removed: number, added: Uint8Array): Buffer {
  return Buffer.concat([bytes.subarray(0, at), added, bytes.subarray(Math.min(bytes.length, at + removed))]);
}

function someOf(random: Random, bytes: Buffer): Buffer {
  const start = below(random, bytes.length + 1);
  return bytes.subarray(start, start + 1 + below(random, 64));
}

/** Changes a number that may be a length: of 1, 2, 4 or 8 bytes in both byte orders, or written with digits. */
function lieAboutLength(random: Random, bytes: Buffer, at: number): void {
  const width = pick(random, [1, 2, 4, 8]);
  if (at + width > bytes.length) return;
  const isLittle = random() < 0.5;
  const has = isLittle ? bytes.readUIntLE(at, Math.min(width, 6)) : bytes.readUIntBE(at, Math.min(width, 6));
  const value = random() < 0.4 ? has + pick(random, [-1, 1, -2, 2, 16, -16]) : random() < 0.2 ? bytes.length : pick(random, NUMBERS); // prettier-ignore
  const big = BigInt.asUintN(8 * width, BigInt(value));
  for (let byte = 0; byte < width; byte += 1)
    bytes[at + (isLittle ? byte : width - 1 - byte)] = Number((big >> BigInt(8 * byte)) & 0xffn);
}

function changeOnce(random: Random, bytes: Buffer, others: readonly Buffer[]): Buffer {
  // Headers stand at the start.
  const at = below(random, random() < 0.3 ? Math.min(bytes.length, 128) : bytes.length);
  switch (below(random, 13)) {
    case 0:
    case 1:
      bytes[at] = (bytes[at] ?? 0) ^ (1 << below(random, 8));
      return bytes;
    case 2:
      bytes[at] = below(random, 256);
      return bytes;
    case 3:
    case 4:
    case 5:
      lieAboutLength(random, bytes, at);
      return bytes;
    case 6:
      return bytes.subarray(0, at);
    case 7:
      return spliced(bytes, at, 1 + below(random, random() < 0.5 ? 2 : 40), Buffer.alloc(0));
    case 8:
      return spliced(bytes, at, below(random, 4), Buffer.from(pick(random, WORDS)));
    case 9:
      return spliced(bytes, at, 0, someOf(random, pick(random, others)));
    case 10:
      return Buffer.concat([bytes.subarray(0, at), pick(random, others).subarray(below(random, bytes.length))]);
    case 11: {
      const piece = someOf(random, bytes);
      const times = 1 + below(random, random() < 0.1 ? LONGEST_INPUT / Math.max(piece.length, 1) : 20);
      return spliced(bytes, at, 0, Buffer.concat(Array<Buffer>(times).fill(piece)));
    }
    default:
      bytes.subarray(at, at + 1 + below(random, 200)).fill(pick(random, [0, 0xff, 0x20, 0x41, 0x30]));
      return bytes;
  }
}

/** One of the contents with a few changes, or as it is. */
export function mutated(random: Random, contents: readonly Buffer[]): Buffer {
  let bytes = Buffer.from(pick(random, contents));
  for (let changes = below(random, 5); changes > 0 && bytes.length > 0; changes -= 1)
    bytes = Buffer.from(changeOnce(random, bytes, contents));
  return bytes.subarray(0, LONGEST_INPUT);
}
