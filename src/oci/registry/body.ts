import { tooLarge } from '../content.js';
import type { TransportResponse } from './transport.js';
import { redactUrl } from './urls.js';

/** Maximum bytes of an unwanted body that are read so that its connection can be reused. */
const DRAIN_BYTES = 64 * 1024;

/**
 * Reads a whole body.
 * @param mostBytes maximum size
 * @throws IntegrityError `TOO_LARGE`
 */
export async function readBounded(response: TransportResponse, mostBytes: number): Promise<Uint8Array> {
  const bytes = await readStart(response, mostBytes + 1);
  if (bytes.length > mostBytes) throw tooLarge(`the answer of ${redactUrl(response.url)}`, mostBytes);
  return bytes;
}

/** Reads at most `mostBytes` of a body and closes the rest. */
export async function readStart(response: TransportResponse, mostBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body) {
    chunks.push(chunk);
    length += chunk.length;
    // Leaving the loop closes the connection, so an endless body costs no more than this.
    if (length >= mostBytes) break;
  }
  return Buffer.concat(chunks, length).subarray(0, mostBytes);
}

/** Closes a body unread, together with its connection. */
export async function leave(response: TransportResponse): Promise<void> {
  await response.body[Symbol.asyncIterator]().return?.();
}

/** Reads and discards a body, so that its connection can be reused. A long or broken body is closed. */
export async function drain(response: TransportResponse): Promise<void> {
  let length = 0;
  try {
    for await (const chunk of response.body) {
      length += chunk.length;
      if (length > DRAIN_BYTES) break;
    }
  } catch {
    // The status is already known, so a broken body does not matter.
  }
}
