const [NEWLINE, RETURN] = [10, 13];

/** The lines of a text, one after the other, as places in its bytes: most lines are passed over. */
export class Lines {
  readonly bytes: Buffer;
  /** Where the line starts. */
  start = 0;
  /** Where the line ends, without its end (`\n` or `\r\n`). */
  end = 0;
  #next = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** Moves to the next line, at first to the first one. @returns false if there is none */
  next(): boolean {
    const { bytes } = this;
    const start = this.#next;
    if (start >= bytes.length) return false;
    const newline = bytes.indexOf(NEWLINE, start);
    const end = newline < 0 ? bytes.length : newline;
    this.start = start;
    this.end = end > start && bytes[end - 1] === RETURN ? end - 1 : end;
    this.#next = end + 1;
    return true;
  }

  /** The text of the line, or of a part of it. @param from first byte, from the start of the line */
  text(from = 0, to = Infinity): string {
    return this.bytes.toString('utf8', this.start + from, Math.min(this.end, this.start + to));
  }
}

/** The lines of a text, without their ends, as views and not copies. */
export function* linesOf(bytes: Uint8Array): Generator<Buffer> {
  const lines = new Lines(bytes);
  while (lines.next()) yield lines.bytes.subarray(lines.start, lines.end);
}
