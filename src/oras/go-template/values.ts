import { InputError } from '../../oci/index.js';

/**
 * A value of a template. A `number` is Go's float64: the numbers of JSON. A `bigint` is an int: the whole numbers in a template. The two
 * are not comparable, as in Go. `undefined` is nil or a missing field.
 */
export type Value =
  undefined | boolean | string | number | bigint | readonly Value[] | { readonly [key: string]: Value };

export type ValueMap = Readonly<Record<string, Value>>;

/** @throws InputError `TEMPLATE_FAILED`: the template is well-formed, but it cannot be evaluated. */
export function failed(why: string): InputError {
  return new InputError('TEMPLATE_FAILED', `template: ${why}`, {
    remedy: 'Print {{toJson .}} to see the names of the fields.',
  });
}

export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

export function isMap(value: Value): value is ValueMap {
  return typeof value === 'object' && !isList(value);
}

/** The keys of a map in byte order, as in Go. */
export function keysOf(map: ValueMap): string[] {
  return Object.keys(map).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

/** Only own properties: a template must not reach those of every JavaScript object. */
export function entryOf(map: ValueMap, key: string): Value {
  return Object.hasOwn(map, key) ? map[key] : undefined;
}

/** Converts JSON to template data. Null, and everything that JSON does not have, is nil. */
export function toValue(json: unknown): Value {
  if (typeof json === 'string' || typeof json === 'number' || typeof json === 'boolean') return json;
  if (Array.isArray(json)) return json.map(toValue);
  if (typeof json !== 'object' || json === null) return undefined;
  const entries = Object.entries(json).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries.map(([key, value]) => [key, toValue(value)]));
}

/** Go's name of a value's type, for messages. */
export function typeOf(value: Value): string {
  if (value === undefined) return 'nil';
  if (isList(value)) return '[]interface {}';
  if (isMap(value)) return 'map[string]interface {}';
  return { string: 'string', number: 'float64', bigint: 'int', boolean: 'bool' }[
    typeof value as 'string' | 'number' | 'bigint' | 'boolean'
  ];
}

/** Whether `if` treats the value as true: everything except false, nil, zero and empty values. */
export function isTruthy(value: Value): boolean {
  if (isList(value)) return value.length > 0;
  if (isMap(value)) return Object.keys(value).length > 0;
  return value !== undefined && value !== false && value !== 0 && value !== 0n && value !== '';
}
