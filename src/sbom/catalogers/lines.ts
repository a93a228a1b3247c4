const [NEWLINE, RETURN] = [10, 13];

/** The lines of a text, without their ends (`\n` or `\r\n`), as views and not copies. */
export function* linesOf(bytes: Uint8Array): Generator<Buffer> {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let start = 0; start < all.length;) {
    const newline = all.indexOf(NEWLINE, start);
    const end = newline < 0 ? all.length : newline;
    yield all.subarray(start, end > start && all[end - 1] === RETURN ? end - 1 : end);
    start = end + 1;
  }
}
