/**
 * Strings as oras prints them in its tree: `key: value` lines of go-yaml. Quoting follows that library, so that scripts find the same
 * text. Control characters are escaped.
 */

/** Texts that YAML would not read as a string. They are written in double quotes. */
const OTHER_TYPES = [
  /^$/,
  /^(?:~|null|Null|NULL|true|True|TRUE|false|False|FALSE)$/,
  /^[-+]?(?:0|[1-9][0-9_]*|0[0-7_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|0b[01_]+)$/,
  /^[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?$/,
  /^[-+]?\.(?:inf|Inf|INF)$/,
  /^\.(?:nan|NaN|NAN)$/,
  /^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::?[0-9]{2})?))?)?$/,
];
/** Texts that YAML 1.1 would not read as a string. They are written in single quotes. */
const OLD_TYPES = [
  /^(?:y|Y|yes|Yes|YES|on|On|ON|n|N|no|No|NO|off|Off|OFF)$/,
  /^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$/,
  /^<<$/,
];

const ESCAPES = new Map<number, string>([
  [0x00, '0'],
  [0x07, 'a'],
  [0x08, 'b'],
  [0x09, 't'],
  [0x0a, 'n'],
  [0x0b, 'v'],
  [0x0c, 'f'],
  [0x0d, 'r'],
  [0x1b, 'e'],
  [0x22, '"'],
  [0x5c, '\\'],
  [0x85, 'N'],
  [0xa0, '_'],
  [0x2028, 'L'],
  [0x2029, 'P'],
]);

/** go-yaml treats characters beyond the basic plane as not printable. */
function isPrintable(code: number): boolean {
  return (
    code === 0x0a ||
    (code >= 0x20 && code <= 0x7e) ||
    (code >= 0xa0 && code <= 0xd7ff && code !== 0x2028 && code !== 0x2029) ||
    (code >= 0xe000 && code <= 0xfffd && code !== 0xfeff)
  );
}

function hex(code: number): string {
  const digits = code.toString(16).toUpperCase();
  if (code <= 0xff) return `x${digits.padStart(2, '0')}`;
  return code <= 0xffff ? `u${digits.padStart(4, '0')}` : `U${digits.padStart(8, '0')}`;
}

function doubleQuoted(text: string): string {
  let quoted = '';
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    const plain = isPrintable(code) && code !== 0x0a && code !== 0x22 && code !== 0x5c;
    quoted += plain ? char : `\\${ESCAPES.get(code) ?? hex(code)}`;
  }
  return `"${quoted}"`;
}

function singleQuoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** True if the text needs no quotes in a block mapping. */
function canBePlain(text: string): boolean {
  if (/^[#,[\]{}&*!|>'"%@`]/.test(text) || /^(?:---|\.\.\.)/.test(text)) return false;
  if (/^[-?:](?:\s|$)/.test(text)) return false;
  return !/:(?:\s|$)/.test(text) && !/\s#/.test(text) && !/^\s|\s$/.test(text);
}

function isUnprintable(text: string): boolean {
  for (const char of text) if (!isPrintable(char.codePointAt(0) ?? 0)) return true;
  return false;
}

/** One string. Several lines become a literal block, indented by four. */
export function formatYamlScalar(text: string): string {
  if (isUnprintable(text)) return doubleQuoted(text);
  if (text.includes('\n')) {
    // A block that begins with white space would need an indentation indicator.
    if (/^\s/.test(text) || / \n/.test(text)) return doubleQuoted(text);
    const lines = text.endsWith('\n') ? text.slice(0, -1).split('\n') : text.split('\n');
    const keep = text.endsWith('\n\n') ? '|+' : text.endsWith('\n') ? '|' : '|-';
    return [keep, ...lines.map((line) => (line === '' ? '' : `    ${line}`))].join('\n');
  }
  if (OTHER_TYPES.some((pattern) => pattern.test(text))) return doubleQuoted(text);
  if (OLD_TYPES.some((pattern) => pattern.test(text)) || !canBePlain(text)) return singleQuoted(text);
  return text;
}

/** `key: value`, as one entry of a block mapping. */
export function formatYamlEntry(key: string, value: string): string {
  return `${key.includes('\n') ? doubleQuoted(key) : formatYamlScalar(key)}: ${formatYamlScalar(value)}`;
}
