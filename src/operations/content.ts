import { isRecord } from '../oci/index.js';

/** Bytes as JSON where they are an object; as base64 where they are none, or where the object written anew makes others. */
export function contentOf(bytes: Uint8Array): Record<string, unknown> {
  const base64 = Buffer.from(bytes).toString('base64');
  try {
    const content: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (isRecord(content))
      return Buffer.from(JSON.stringify(content)).equals(bytes) ? { content } : { content, base64 };
  } catch {
    // What isn't JSON is given as it is.
  }
  return { base64 };
}
