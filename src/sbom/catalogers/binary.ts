/** A database, or a part of one, that is not what its format says. Readers turn it into a gap. */
export class Unreadable extends Error {}

/** Unsigned numbers and slices of a binary format. Each read beyond the end throws {@link Unreadable}. */
export class Binary {
  readonly bytes: Buffer;
  readonly #isLittle: boolean;

  constructor(bytes: Uint8Array, order: 'little' | 'big') {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#isLittle = order === 'little';
  }

  get length(): number {
    return this.bytes.length;
  }

  u8(at: number): number {
    return this.slice(at, 1)[0] ?? 0;
  }

  u16(at: number): number {
    const bytes = this.slice(at, 2);
    return this.#isLittle ? bytes.readUInt16LE() : bytes.readUInt16BE();
  }

  u32(at: number): number {
    const bytes = this.slice(at, 4);
    return this.#isLittle ? bytes.readUInt32LE() : bytes.readUInt32BE();
  }

  /** A view, not a copy. */
  slice(at: number, length: number): Buffer {
    if (at < 0 || length < 0 || at + length > this.bytes.length) throw new Unreadable('it ends too early');
    return this.bytes.subarray(at, at + length);
  }
}
