/** Maximum nesting of JSON. Parsing deeper JSON takes disproportionately long, and no package manifest is that deep. */
const DEEPEST = 200;
/** Smaller files cannot nest deep enough to matter. */
const QUICK_BYTES = 16 * 1024;

/** Parses JSON, with or without a byte order mark. @returns a reason, for people, if it cannot be read */
export function parseJson(bytes: Uint8Array): { json: unknown } | { reason: string } {
  if (isTooDeep(bytes)) return { reason: 'nests too deep' };
  try {
    return { json: JSON.parse(new TextDecoder().decode(bytes)) };
  } catch {
    return { reason: 'is not JSON' };
  }
}

/** True if JSON nests deeper than any manifest. Reads each byte once. */
function isTooDeep(bytes: Uint8Array): boolean {
  if (bytes.length < QUICK_BYTES) return false;
  let depth = 0;
  let isText = false;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (byte === 0x22) isText = !isText;
    else if (isText) at += byte === 0x5c ? 1 : 0;
    else if (byte === 0x5b || byte === 0x7b) depth += 1;
    else if (byte === 0x5d || byte === 0x7d) depth -= 1;
    if (depth > DEEPEST) return true;
  }
  return false;
}
