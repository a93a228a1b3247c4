import { createHash } from 'node:crypto';
import { formatf, formatValue, quote, toJson, toPlainJson } from './format.js';
import {
  entryOf,
  failed,
  isList,
  isMap,
  isTruthy,
  keysOf,
  toValue,
  typeOf,
  type Value,
  type ValueMap,
} from './values.js';

export interface TemplateFunction {
  least: number;
  /** Undefined: any number. */
  most?: number;
  call(args: readonly Value[]): Value;
}

/** The widest that `printf` pads and `indent` indents to. */
const WIDEST = 1000;

const of = (count: number, call: (...args: Value[]) => Value): TemplateFunction => ({
  least: count,
  most: count,
  call: (args) => call(...args),
});
const ofAtLeast = (least: number, call: (args: readonly Value[]) => Value): TemplateFunction => ({ least, call });

function text(value: Value): string {
  if (typeof value === 'string') return value;
  throw failed(`wrong type: expected string, got ${typeOf(value)}`);
}

function list(value: Value): readonly Value[] {
  if (isList(value)) return value;
  throw failed(`expected a list, got ${typeOf(value)}`);
}

function map(value: Value): ValueMap {
  if (isMap(value)) return value;
  throw failed(`expected a map, got ${typeOf(value)}`);
}

function int(value: Value): bigint {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number' && Number.isFinite(value)) return BigInt(Math.trunc(value));
  if (typeof value === 'string') return /^[-+]?\d{1,18}$/.test(value) ? BigInt(value) : 0n;
  return value === true ? 1n : 0n;
}

/** Arithmetic on 64-bit ints. */
function arithmetic(least: number, most: number | undefined, work: (a: bigint, b: bigint) => bigint): TemplateFunction {
  const call = (args: readonly Value[]): Value => args.map(int).reduce((a, b) => BigInt.asIntN(64, work(a, b)));
  return { least, ...(most !== undefined && { most }), call };
}

function notZero(value: bigint): bigint {
  if (value === 0n) throw failed('integer divide by zero');
  return value;
}

/** Converts a value to text, as Sprig does. */
function shown(value: Value): string {
  return typeof value === 'string' ? value : formatValue(value);
}

function isEqual(a: Value, b: Value): boolean {
  if (a === undefined || b === undefined) return a === b;
  if (isList(a) || isMap(a) || isList(b) || isMap(b)) throw failed('non-comparable types for comparison');
  if (typeof a !== typeof b) throw failed(`incompatible types for comparison: ${typeOf(a)} and ${typeOf(b)}`);
  return a === b;
}

function isLess(a: Value, b: Value): boolean {
  if (typeof a === 'string' && typeof b === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0;
  if (typeof a === 'bigint' && typeof b === 'bigint') return a < b;
  if (typeof a === 'number' && typeof b === 'number') return a < b;
  throw failed(`incompatible types for comparison: ${typeOf(a)} and ${typeOf(b)}`);
}

function at(value: Value, key: Value): Value {
  if (isMap(value)) return entryOf(value, text(key));
  if (!isList(value) && typeof value !== 'string') throw failed(`can't index item of type ${typeOf(value)}`);
  if (typeof key !== 'bigint') throw failed(`cannot index slice/array with type ${typeOf(key)}`);
  const items = typeof value === 'string' ? [...Buffer.from(value)].map(BigInt) : value;
  if (key < 0n || key >= BigInt(items.length)) throw failed(`index out of range: ${key}`);
  return items[Number(key)];
}

function length(value: Value): bigint {
  if (typeof value === 'string') return BigInt(Buffer.byteLength(value));
  if (isList(value)) return BigInt(value.length);
  if (isMap(value)) return BigInt(Object.keys(value).length);
  throw failed(`len of type ${typeOf(value)}`);
}

/** Go's `fmt.Sprint`: spaces only between two values of which neither is a string. */
function print(args: readonly Value[]): string {
  return args.reduce<string>((line, value, index) => {
    const space = index > 0 && typeof value !== 'string' && typeof args[index - 1] !== 'string';
    return `${line}${space ? ' ' : ''}${formatValue(value)}`;
  }, '');
}

function truncate(count: Value, value: Value): string {
  const bytes = Buffer.from(text(value));
  const most = Number(int(count));
  if (Math.abs(most) >= bytes.length) return text(value);
  return (most < 0 ? bytes.subarray(most) : bytes.subarray(0, most)).toString();
}

function substr(start: Value, end: Value, value: Value): string {
  const bytes = Buffer.from(text(value));
  const [from, to] = [Number(int(start)), Number(int(end))];
  const stop = from >= 0 && (to < 0 || to > bytes.length) ? bytes.length : to;
  const begin = Math.max(from, 0);
  if (stop < begin || stop > bytes.length) throw failed(`slice bounds out of range [${begin}:${stop}]`);
  return bytes.subarray(begin, stop).toString();
}

function indent(width: Value, value: Value): string {
  const spaces = ' '.repeat(Math.min(Math.max(Number(int(width)), 0), WIDEST));
  return `${spaces}${text(value).replaceAll('\n', `\n${spaces}`)}`;
}

function select(value: Value, isWanted: (key: string) => boolean): Value {
  return Object.fromEntries(Object.entries(map(value)).filter(([key]) => isWanted(key)));
}

function kindOf(value: Value): string {
  if (value === undefined) return 'invalid';
  return isList(value) ? 'slice' : isMap(value) ? 'map' : typeOf(value);
}

function fromJson(value: Value): Value {
  try {
    return toValue(JSON.parse(text(value)));
  } catch {
    return undefined;
  }
}

function dict(args: readonly Value[]): Value {
  const entries = args.flatMap((key, index) => (index % 2 === 0 ? [[shown(key), args[index + 1] ?? ''] as const] : []));
  return Object.fromEntries(entries);
}

/** The functions of text/template; `and` and `or` are evaluated elsewhere, since they do not read all their arguments. */
const BUILT_IN: Record<string, TemplateFunction> = {
  not: of(1, (value) => !isTruthy(value)),
  eq: ofAtLeast(2, ([first, ...others]) => others.some((other) => isEqual(first, other))),
  ne: of(2, (a, b) => !isEqual(a, b)),
  lt: of(2, isLess),
  le: of(2, (a, b) => isLess(a, b) || isEqual(a, b)),
  gt: of(2, (a, b) => isLess(b, a)),
  ge: of(2, (a, b) => isLess(b, a) || isEqual(a, b)),
  len: of(1, length),
  index: ofAtLeast(1, ([value, ...keys]) => keys.reduce(at, value)),
  print: ofAtLeast(0, print),
  println: ofAtLeast(0, (args) => `${args.map((value) => formatValue(value)).join(' ')}\n`),
  printf: ofAtLeast(1, ([format, ...values]) => formatf(text(format), values, WIDEST)),
};

/** The functions of Sprig that scripts around registries use. None reads the environment, the clock or the network. */
const SPRIG: Record<string, TemplateFunction> = {
  toJson: of(1, (value) => toJson(value)),
  toPrettyJson: of(1, (value) => toJson(value, 2)),
  toRawJson: of(1, (value) => JSON.stringify(toPlainJson(value))),
  mustToJson: of(1, (value) => toJson(value)),
  mustToPrettyJson: of(1, (value) => toJson(value, 2)),
  mustToRawJson: of(1, (value) => JSON.stringify(toPlainJson(value))),
  fromJson: of(1, fromJson),
  first: of(1, (value) => list(value)[0]),
  last: of(1, (value) => list(value).at(-1)),
  rest: of(1, (value) => list(value).slice(1)),
  initial: of(1, (value) => list(value).slice(0, -1)),
  reverse: of(1, (value) => list(value).toReversed()),
  list: ofAtLeast(0, (args) => [...args]),
  has: of(2, (wanted, value) => list(value).some((entry) => toJson(entry) === toJson(wanted))),
  uniq: of(1, (value) => [...new Map(list(value).map((entry) => [toJson(entry), entry])).values()]),
  sortAlpha: of(1, (value) =>
    list(value)
      .map(shown)
      .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
  ),
  dict: ofAtLeast(0, dict),
  get: of(2, (value, key) => entryOf(map(value), text(key)) ?? ''),
  hasKey: of(2, (value, key) => Object.hasOwn(map(value), text(key))),
  pick: ofAtLeast(1, ([value, ...keys]) => select(value, (key) => keys.map(text).includes(key))),
  omit: ofAtLeast(1, ([value, ...keys]) => select(value, (key) => !keys.map(text).includes(key))),
  pluck: ofAtLeast(1, ([key, ...maps]) =>
    maps.flatMap((value) => (Object.hasOwn(map(value), text(key)) ? [entryOf(map(value), text(key))] : [])),
  ),
  keys: ofAtLeast(1, (maps) => maps.flatMap((value) => keysOf(map(value)))),
  join: of(2, (separator, value) => (isList(value) ? value.map(shown).join(text(separator)) : shown(value))),
  splitList: of(2, (separator, value) => text(value).split(text(separator))),
  upper: of(1, (value) => text(value).toUpperCase()),
  lower: of(1, (value) => text(value).toLowerCase()),
  trim: of(1, (value) => text(value).trim()),
  trimPrefix: of(2, (prefix, value) => {
    return text(value).startsWith(text(prefix)) ? text(value).slice(text(prefix).length) : value;
  }),
  trimSuffix: of(2, (suffix, value) => {
    return text(suffix) !== '' && text(value).endsWith(text(suffix))
      ? text(value).slice(0, -text(suffix).length)
      : value;
  }),
  hasPrefix: of(2, (prefix, value) => text(value).startsWith(text(prefix))),
  hasSuffix: of(2, (suffix, value) => text(value).endsWith(text(suffix))),
  contains: of(2, (part, value) => text(value).includes(text(part))),
  replace: of(3, (from, to, value) => text(value).replaceAll(text(from), () => text(to))),
  trunc: of(2, truncate),
  substr: of(3, substr),
  title: of(1, (value) => text(value).replaceAll(/(?<![\p{L}\p{N}_])\p{L}/gu, (letter) => letter.toUpperCase())),
  indent: of(2, indent),
  nindent: of(2, (width, value) => `\n${indent(width, value)}`),
  b64enc: of(1, (value) => Buffer.from(text(value)).toString('base64')),
  sha256sum: of(1, (value) => createHash('sha256').update(text(value)).digest('hex')),
  quote: ofAtLeast(0, (args) => args.flatMap((value) => (value === undefined ? [] : [quote(shown(value))])).join(' ')),
  squote: ofAtLeast(0, (args) => args.flatMap((value) => (value === undefined ? [] : [`'${shown(value)}'`])).join(' ')),
  toString: of(1, shown),
  int: of(1, int),
  int64: of(1, int),
  typeOf: of(1, (value) => (value === undefined ? '<nil>' : typeOf(value))),
  kindOf: of(1, kindOf),
  add: ofAtLeast(0, (args) =>
    BigInt.asIntN(
      64,
      args.map(int).reduce((sum, value) => sum + value, 0n),
    ),
  ),
  sub: arithmetic(2, 2, (a, b) => a - b),
  mul: arithmetic(1, undefined, (a, b) => a * b),
  div: arithmetic(2, 2, (a, b) => a / notZero(b)),
  mod: arithmetic(2, 2, (a, b) => a % notZero(b)),
  max: arithmetic(1, undefined, (a, b) => (a > b ? a : b)),
  min: arithmetic(1, undefined, (a, b) => (a < b ? a : b)),
  empty: of(1, (value) => !isTruthy(value)),
  default: { least: 1, most: 2, call: ([fallback, value]) => (isTruthy(value) ? value : fallback) },
  coalesce: ofAtLeast(0, (args) => args.find(isTruthy)),
  ternary: of(3, (yes, no, condition) => (condition === true ? yes : no)),
};

const FUNCTIONS: ReadonlyMap<string, TemplateFunction> = new Map(Object.entries({ ...BUILT_IN, ...SPRIG }));

/** All functions, in alphabetical order. */
export const FUNCTION_NAMES: readonly string[] = ['and', 'or', ...FUNCTIONS.keys()].toSorted();

export function isFunction(name: string): boolean {
  return name === 'and' || name === 'or' || FUNCTIONS.has(name);
}

export function callFunction(name: string, args: readonly Value[]): Value {
  const found = FUNCTIONS.get(name);
  if (found === undefined) throw failed(`function "${name}" not defined`);
  if (args.length < found.least || args.length > (found.most ?? Infinity)) {
    const atLeast = found.most === undefined ? 'at least ' : '';
    throw failed(`wrong number of args for ${name}: want ${atLeast}${found.least} got ${args.length}`);
  }
  return found.call(args);
}
