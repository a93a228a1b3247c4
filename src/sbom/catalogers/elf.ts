/** A part of an ELF file that is loaded into memory. */
export interface Segment {
  address: bigint;
  offset: number;
  size: number;
  isWritable: boolean;
}

/** Maximum program headers. Linkers write about ten. */
const MOST_HEADERS = 100;
const [PT_LOAD, PF_W] = [1, 2] as const;

/**
 * The segments that an ELF file loads, from the first bytes of the file. Undefined if the bytes are no ELF header, or if
 * the program headers are not among them.
 * @see https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.pheader.html
 */
export function readSegments(head: Buffer): Segment[] | undefined {
  if (head.length < 64 || head.readUInt32BE(0) !== 0x7f454c46) return undefined;
  const [is64, isLittle] = [head[4] === 2, head[5] === 1];
  const u16 = (at: number): number => (isLittle ? head.readUInt16LE(at) : head.readUInt16BE(at));
  const u32 = (at: number): number => (isLittle ? head.readUInt32LE(at) : head.readUInt32BE(at));
  const u64 = (at: number): bigint => (isLittle ? head.readBigUInt64LE(at) : head.readBigUInt64BE(at));
  const word = (at: number): bigint => (is64 ? u64(at) : BigInt(u32(at)));
  const start = Number(word(is64 ? 32 : 28));
  const size = u16(is64 ? 54 : 42);
  const count = u16(is64 ? 56 : 44);
  if (count > MOST_HEADERS || size < (is64 ? 56 : 32) || start + size * count > head.length) return undefined;
  const segments: Segment[] = [];
  for (let at = start; at < start + size * count; at += size) {
    if (u32(at) !== PT_LOAD) continue;
    segments.push({
      offset: Number(word(at + (is64 ? 8 : 4))),
      address: word(at + (is64 ? 16 : 8)),
      size: Number(word(at + (is64 ? 32 : 16))),
      isWritable: (u32(at + (is64 ? 4 : 24)) & PF_W) !== 0,
    });
  }
  return segments;
}

/** The place in the file of an address in memory. */
export function offsetOf(segments: readonly Segment[], address: bigint): number | undefined {
  const segment = segments.find((each) => address >= each.address && address - each.address < BigInt(each.size));
  return segment === undefined ? undefined : segment.offset + Number(address - segment.address);
}
