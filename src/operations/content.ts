import { isRecord } from '../oci/index.js';

/**
 * Bytes in an output: as JSON if they are an object. If encoding the object again would give other bytes, they are
 * added as base64.
 */
export function contentOf(bytes: Uint8Array): Record<string, unknown> {
  const base64 = Buffer.from(bytes).toString('base64');
  try {
    const content: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (isRecord(content))
      return Buffer.from(JSON.stringify(content)).equals(bytes) ? { content } : { content, base64 };
  } catch {
    // Not JSON: only base64.
  }
  return { base64 };
}
