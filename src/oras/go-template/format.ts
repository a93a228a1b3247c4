import { formatGoJson } from '../go-json.js';
import { failed, isList, isMap, keysOf, typeOf, type Value } from './values.js';

/** Go's `%v` of a float64: with an exponent of two digits at least, below 1e-4 and from 1e+06 on. */
function formatFloat(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  const [mantissa = '', exponentText = '0'] = value.toExponential().split('e');
  const exponent = Number(exponentText);
  if (exponent >= -4 && exponent < 6) return String(value);
  return `${mantissa}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
}

/** Go's `%v`: maps sorted by key. @param nil the text for nil at the top level; inside it is always `<nil>`. */
export function formatValue(value: Value, nil = '<nil>'): string {
  if (value === undefined) return nil;
  if (typeof value === 'number') return formatFloat(value);
  if (isList(value)) return `[${value.map((entry) => formatValue(entry)).join(' ')}]`;
  if (isMap(value))
    return `map[${keysOf(value)
      .map((key) => `${key}:${formatValue(value[key])}`)
      .join(' ')}]`;
  return String(value);
}

/** Characters that Go's quoting writes as numbers. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/u;

/** Go's `%q` of a string. */
export function quote(text: string): string {
  let quoted = '';
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    const named = { 7: 'a', 8: 'b', 9: 't', 10: 'n', 11: 'v', 12: 'f', 13: 'r', 34: '"', 92: '\\' }[code];
    if (named !== undefined) quoted += `\\${named}`;
    else if (code < 0x20 || code === 0x7f) quoted += `\\x${code.toString(16).padStart(2, '0')}`;
    else if (UNPRINTABLE.test(char) || (code !== 0x20 && /\p{Zs}/u.test(char)))
      quoted += code > 0xffff ? `\\U${code.toString(16).padStart(8, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
    else quoted += char;
  }
  return `"${quoted}"`;
}

/** A value as JSON, as Go's encoder writes it: maps sorted by key, ints without a point. */
export function toPlainJson(value: Value): unknown {
  if (value === undefined) return null;
  if (typeof value === 'bigint') return Number(value);
  if (isList(value)) return value.map(toPlainJson);
  if (isMap(value)) return Object.fromEntries(keysOf(value).map((key) => [key, toPlainJson(value[key])]));
  return value;
}

export function toJson(value: Value, indent = 0): string {
  return formatGoJson(toPlainJson(value), indent);
}

function formatVerb(verb: string, value: Value, precision: number | undefined): string {
  const wrong = (): string => `%!${verb}(${value === undefined ? '<nil>' : `${typeOf(value)}=${formatValue(value)}`})`;
  switch (verb) {
    case 'v':
      return formatValue(value);
    case 's': {
      if (typeof value === 'string')
        return precision === undefined ? value : Array.from(value).slice(0, precision).join('');
      return isList(value) || isMap(value) ? formatValue(value) : wrong();
    }
    case 'q':
      return typeof value === 'string' ? quote(value) : wrong();
    case 'd':
      return typeof value === 'bigint' ? String(value) : wrong();
    case 't':
      return typeof value === 'boolean' ? String(value) : wrong();
    case 'f':
      return typeof value === 'number' ? value.toFixed(Math.min(precision ?? 6, 100)) : wrong();
    case 'T':
      return typeOf(value);
    default:
      throw failed(`printf has no %${verb} here`);
  }
}

/** Go's `fmt.Sprintf`, of verbs `v s q d t f T`, the flags `-` and `0`, width and precision. */
export function formatf(format: string, values: readonly Value[], widest: number): string {
  let next = 0;
  const text = format.replace(
    /%([-0]*)(\d*)(?:\.(\d*))?([A-Za-z%]|$)/g,
    (_all, flags: string, width: string, precision: string | undefined, verb: string) => {
      if (verb === '%') return '%';
      if (verb === '') return '%!(NOVERB)';
      if (next >= values.length) return `%!${verb}(MISSING)`;
      const value = values[next];
      next += 1;
      const shown = formatVerb(verb, value, precision === undefined ? undefined : Number(precision));
      const wide = Math.min(Number(width), widest);
      if (flags.includes('-')) return shown.padEnd(wide);
      const zeros = flags.includes('0') && (typeof value === 'number' || typeof value === 'bigint');
      return shown.padStart(wide, zeros ? '0' : ' ');
    },
  );
  const rest = values
    .slice(next)
    .map((value) => (value === undefined ? '<nil>' : `${typeOf(value)}=${formatValue(value)}`));
  return rest.length === 0 ? text : `${text}%!(EXTRA ${rest.join(', ')})`;
}
