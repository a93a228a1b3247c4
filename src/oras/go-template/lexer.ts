import { InputError } from '../../oci/index.js';

export interface Token {
  kind: (typeof KINDS)[number];
  /** The token as it is written. */
  text: string;
  /** True if white space is before it. */
  isApart: boolean;
}

/** Text between actions, or the tokens of one action. Comments are left out. */
export type Piece = { kind: 'text'; text: string } | { kind: 'action'; tokens: Token[] };

const TOKEN =
  /(?<space>[ \t\r\n]*)(?:(?<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)|(?<char>'(?:[^'\\\n]|\\.[^']*)')|(?<number>[-+]?(?:0[xX][\da-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][-+]?\d+)?))|(?<variable>\$[\p{L}\p{Nd}_]*)|(?<field>\.[\p{L}_][\p{L}\p{Nd}_]*)|(?<name>[\p{L}_][\p{L}\p{Nd}_]*)|(?<mark>:=|[=|(),.]))/uy;
/** The end of an action, which may trim the text behind it. */
const CLOSE = /[ \t\r\n]+-\}\}|[ \t\r\n]*\}\}/y;

/** @throws InputError `TEMPLATE_INVALID` */
export function invalid(why: string): InputError {
  return new InputError('TEMPLATE_INVALID', `template: ${why}`, {
    remedy: 'Write it as a Go text/template, such as {{range .referrers}}{{println .digest}}{{end}}.',
  });
}

const KINDS = ['string', 'char', 'number', 'variable', 'field', 'name', 'mark'] as const;

/** Reads the tokens from `start` to the closing braces. */
function readAction(source: string, start: number): { tokens: Token[]; end: number; trimsAfter: boolean } {
  const tokens: Token[] = [];
  for (let at = start; ; at = TOKEN.lastIndex) {
    CLOSE.lastIndex = at;
    const [close] = CLOSE.exec(source) ?? [];
    if (close !== undefined) return { tokens, end: at + close.length, trimsAfter: close.includes('-') };
    TOKEN.lastIndex = at;
    const groups = TOKEN.exec(source)?.groups;
    if (groups === undefined) {
      const rest = source.slice(at).trimStart();
      throw invalid(rest === '' ? 'unclosed action' : `unexpected ${JSON.stringify(rest.slice(0, 20))} in an action`);
    }
    const kind = KINDS.find((candidate) => groups[candidate] !== undefined) ?? 'mark';
    tokens.push({ kind, text: groups[kind] ?? '', isApart: groups.space !== '' });
  }
}

/** Splits a template into text and actions. `{{-` and `-}}` remove the white space beside them. */
export function cutTemplate(source: string): Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  let trimsStart = false;
  const pushText = (end: number, trimsEnd: boolean): void => {
    let text = source.slice(at, end);
    if (trimsStart) text = text.replace(/^[ \t\r\n]+/, '');
    if (trimsEnd) text = text.replace(/[ \t\r\n]+$/, '');
    if (text !== '') pieces.push({ kind: 'text', text });
  };
  for (;;) {
    const open = source.indexOf('{{', at);
    if (open < 0) break;
    const trimsBefore = /^-[ \t\r\n]/.test(source.slice(open + 2, open + 4));
    pushText(open, trimsBefore);
    const inside = open + 2 + (trimsBefore ? 2 : 0);
    const comment = /^[ \t\r\n]*\/\*[^]*?\*\/([ \t\r\n]+-)?\}\}/.exec(source.slice(inside));
    if (comment) {
      at = inside + comment[0].length;
      trimsStart = comment[1] !== undefined;
      continue;
    }
    const action = readAction(source, inside);
    pieces.push({ kind: 'action', tokens: action.tokens });
    at = action.end;
    trimsStart = action.trimsAfter;
  }
  pushText(source.length, false);
  return pieces;
}

const ESCAPES: Record<string, string> = { a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

/** The content of a Go string or character between its quotes. */
export function unquote(text: string): string {
  const inner = text.slice(1, -1);
  if (text.startsWith('`')) return inner.replaceAll('\r', '');
  return inner.replace(
    /\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([0-7]{3})|(.))/g,
    (all, x?: string, u?: string, long?: string, octal?: string, other?: string) => {
      const hex = x ?? u ?? long;
      const code = hex === undefined ? (octal === undefined ? undefined : parseInt(octal, 8)) : parseInt(hex, 16);
      if (code !== undefined && code <= 0x10ffff) return String.fromCodePoint(code);
      const named = other === undefined ? undefined : (ESCAPES[other] ?? (/["'\\]/.test(other) ? other : undefined));
      if (named === undefined) throw invalid(`${all} is no escape`);
      return named;
    },
  );
}

/** A whole number is an int, anything with a point or an exponent a float. */
export function parseNumber(text: string): bigint | number {
  const plain = text.replaceAll('_', '');
  const sign = plain.startsWith('-') ? -1 : 1;
  const digits = plain.replace(/^[-+]/, '');
  if (/^0[xXbBoO]$/.test(digits)) throw invalid(`${text} is no number`);
  if (/^0[xXbBoO]/.test(digits)) return BigInt(sign) * BigInt(digits);
  if (/^0[0-7]+$/.test(digits)) return BigInt(sign) * BigInt(`0o${digits.slice(1)}`);
  if (/^\d+$/.test(digits)) return BigInt(sign) * BigInt(digits);
  const value = Number(digits);
  if (Number.isNaN(value)) throw invalid(`${text} is no number`);
  return sign * value;
}
