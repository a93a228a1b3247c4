/** Before the build info of a Go program. */
export const MAGIC = Buffer.from('\xff Go buildinf:', 'latin1');
/** Before and after its list of modules. */
export const FRAME = [
  Buffer.from('3077af0c9274080241e1c107e6d618e6', 'hex'),
  Buffer.from('f932433186182072008242104116d8f2', 'hex'),
];

/** A list of modules as the Go linker frames it. */
export const framed = (list: string | Uint8Array): Buffer =>
  Buffer.concat([FRAME[0] ?? MAGIC, Buffer.from(list), FRAME[1] ?? MAGIC]);

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  for (; left >= 128; left = Math.floor(left / 128)) bytes.push((left % 128) + 128);
  return Buffer.from([...bytes, left]);
}

/** What the Go linker writes since Go 1.18. */
export function inlineInfo(version: string, list: Buffer): Buffer {
  const header = Buffer.concat([MAGIC, Buffer.from([8, 2])], 32);
  return Buffer.concat([header, varint(version.length), Buffer.from(version), varint(list.length), list]);
}

export interface Segment {
  offset: number;
  size: number;
  address: number;
  flags: number;
}

/** The header of an ELF file for 64 bits, with its program headers. */
export function elfHeader(segments: readonly Segment[]): Buffer {
  const header = Buffer.alloc(64 + 56 * segments.length);
  header.write('\x7fELF\x02\x01\x01', 'latin1');
  header.writeBigUInt64LE(64n, 32);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(segments.length, 56);
  for (const [at, { offset, size, address, flags }] of segments.entries()) {
    const start = 64 + 56 * at;
    header.writeUInt32LE(1, start);
    header.writeUInt32LE(flags, start + 4);
    header.writeBigUInt64LE(BigInt(offset), start + 8);
    header.writeBigUInt64LE(BigInt(address), start + 16);
    header.writeBigUInt64LE(BigInt(size), start + 32);
  }
  return header;
}
