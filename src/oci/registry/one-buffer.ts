/**
 * Bytes that a connection gets at once. Must be at least the `writableHighWaterMark` of its socket (64 KiB, or 16 KiB
 * with TLS): undici then waits for `drain` before it asks for more, and Node emits that when everything is written.
 */
const BUFFER_BYTES = 256 * 1024;

/**
 * Copies chunks into one buffer. The memory of each chunk can then be freed at once; V8 frees it much later. The buffer
 * is overwritten after the next bytes are requested.
 * @param sizeBytes the size of the whole body
 */
export async function* inOneBuffer(chunks: AsyncIterable<Uint8Array>, sizeBytes: number): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(Math.max(1, Math.min(BUFFER_BYTES, sizeBytes)));
  let filled = 0;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length;) {
      const part = chunk.subarray(at, at + buffer.length - filled);
      buffer.set(part, filled);
      filled += part.length;
      at += part.length;
      if (filled < buffer.length) continue;
      yield buffer;
      filled = 0;
    }
  }
  if (filled > 0) yield buffer.subarray(0, filled);
}
