import { crc32, deflateRawSync } from 'node:zlib';

/** An entry of a zip archive, also as no archiver would write it. */
export interface RawEntry {
  name: string;
  content?: string | Uint8Array;
  /** Default: `deflate`. */
  method?: 'store' | 'deflate' | number;
  /** Sizes behind the content and not before it, as the JDK's `jar` writes them; `long` with 64 bits. */
  descriptor?: boolean | 'long';
  /** Sizes and offset in the 64-bit extra field. */
  zip64?: boolean;
  isEncrypted?: boolean;
  /** The name in the central directory; null if it does not list the entry. */
  listedAs?: string | null;
  /** Bytes added to the compressed size that the central directory states. */
  listedMore?: number;
}

interface RawOptions {
  prefix?: Uint8Array;
  comment?: string;
  zip64?: boolean;
  /** Offsets count from the start of the file and not from that of the archive. */
  countsPrefix?: boolean;
}

function numbers(...fields: [size: 2 | 4 | 8, value: number][]): Buffer {
  return Buffer.concat(
    fields.map(([size, value]) => {
      const bytes = Buffer.alloc(size);
      if (size === 8) bytes.writeBigUInt64LE(BigInt(value));
      else bytes.writeUIntLE(value, 0, size);
      return bytes;
    }),
  );
}

/** Makes a zip archive. */
export function rawZip(entries: readonly RawEntry[], options: RawOptions = {}): Buffer {
  const { prefix = Buffer.alloc(0), comment = '', zip64 = false, countsPrefix = false } = options;
  const before = countsPrefix ? prefix.length : 0;
  const all: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = before;
  for (const entry of entries) {
    const { name, content = '', method = 'deflate', descriptor = false, listedAs = name, listedMore = 0 } = entry;
    const bytes = Buffer.from(content);
    const packed = method === 'deflate' ? deflateRawSync(bytes) : bytes;
    const number = method === 'store' ? 0 : method === 'deflate' ? 8 : method;
    const flags = (entry.isEncrypted === true ? 1 : 0) | (descriptor === false ? 0 : 8) | 0x800;
    const crc = crc32(bytes);
    const big = 0xffffffff;
    const sizes: [4, number][] =
      descriptor !== false
        ? [[4, 0], [4, 0], [4, 0]] // prettier-ignore
        : [[4, crc], [4, entry.zip64 ? big : packed.length], [4, entry.zip64 ? big : bytes.length]]; // prettier-ignore
    const extra = entry.zip64 ? numbers([2, 0xcafe], [2, 0], [2, 1], [2, 16], [8, bytes.length], [8, packed.length]) : Buffer.alloc(0); // prettier-ignore
    const nameBytes = Buffer.from(name);
    const local = Buffer.concat([
      numbers([4, 0x04034b50], [2, 20], [2, flags], [2, number], [4, 0], ...sizes, [2, nameBytes.length], [2, extra.length]), // prettier-ignore
      nameBytes,
      descriptor === false ? extra : Buffer.alloc(0),
    ]);
    if (descriptor !== false) local.writeUInt16LE(0, 28);
    const size = descriptor === 'long' ? 8 : 4;
    const behind = descriptor === false ? Buffer.alloc(0) : numbers([4, 0x08074b50], [4, crc], [size, packed.length], [size, bytes.length]); // prettier-ignore
    all.push(local, packed, behind);
    if (listedAs !== null) {
      const listed = Buffer.from(listedAs);
      const more = entry.zip64
        ? numbers([2, 1], [2, 24], [8, bytes.length], [8, packed.length + listedMore], [8, offset])
        : Buffer.alloc(0);
      directory.push(
        numbers([4, 0x02014b50], [2, 20], [2, 20], [2, flags], [2, number], [4, 0], [4, crc]),
        numbers([4, entry.zip64 ? big : packed.length + listedMore], [4, entry.zip64 ? big : bytes.length]),
        numbers([2, listed.length], [2, more.length], [2, 0], [2, 0], [2, 0], [4, 0], [4, entry.zip64 ? big : offset]),
        listed,
        more,
      );
    }
    offset += local.length + packed.length + behind.length;
  }
  const central = Buffer.concat(directory);
  const count = Math.min(entries.length, 0xffff);
  const end64 = zip64
    ? Buffer.concat([
        numbers([4, 0x06064b50], [8, 44], [2, 45], [2, 45], [4, 0], [4, 0], [8, count], [8, count]),
        numbers([8, central.length], [8, offset]),
        numbers([4, 0x07064b50], [4, 0], [8, offset + central.length], [4, 1]),
      ])
    : Buffer.alloc(0);
  const end = numbers(
    [4, 0x06054b50],
    [4, 0],
    [2, zip64 ? 0xffff : count],
    [2, zip64 ? 0xffff : count],
    [4, zip64 ? 0xffffffff : central.length],
    [4, zip64 ? 0xffffffff : offset],
    [2, Buffer.byteLength(comment)],
  );
  return Buffer.concat([prefix, ...all, central, end64, end, Buffer.from(comment)]);
}
