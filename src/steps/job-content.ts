import { isRecord } from '../oci/index.js';

/** Bytes as JSON where they are an object; otherwise as base64. */
export function contentOf(bytes: Uint8Array): Record<string, unknown> {
  try {
    const content: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (isRecord(content)) return { content };
  } catch {
    // What isn't JSON is given as it is.
  }
  return { base64: Buffer.from(bytes).toString('base64') };
}
