import { isRecord } from '../oci/index.js';

/** Bytes in an output: as JSON if they are an object, and as base64 if the object, written again, would not give the same bytes. */
export function contentOf(bytes: Uint8Array): Record<string, unknown> {
  const base64 = Buffer.from(bytes).toString('base64');
  try {
    const content: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (isRecord(content))
      return Buffer.from(JSON.stringify(content)).equals(bytes) ? { content } : { content, base64 };
  } catch {
    // Not JSON: base64 alone.
  }
  return { base64 };
}
