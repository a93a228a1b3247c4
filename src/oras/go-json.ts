const ESCAPED = /[<>&\u2028\u2029]/g;

/** JSON as Go's encoder writes it: what could end a script tag is escaped. @param indent spaces; 0 (the default) for one line. */
export function formatGoJson(value: unknown, indent = 0): string {
  return JSON.stringify(value, undefined, indent).replaceAll(
    ESCAPED,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
