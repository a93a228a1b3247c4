import { InputError } from '../../oci/index.js';

/**
 * What a template works on. A `number` is Go's float64, which is what JSON's numbers are there; a `bigint` is an int, which is
 * what a template's own whole numbers are: the two are not comparable, there as here. `undefined` is what is missing or nil.
 */
export type Value =
  undefined | boolean | string | number | bigint | readonly Value[] | { readonly [key: string]: Value };

export type ValueMap = Readonly<Record<string, Value>>;

/** @throws InputError `TEMPLATE_FAILED`: the template is well-formed, and what it asks for can't be done. */
export function failed(why: string): InputError {
  return new InputError('TEMPLATE_FAILED', `template: ${why}`, {
    remedy: 'Print {{toJson .}} to see what the fields are called.',
  });
}

export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

export function isMap(value: Value): value is ValueMap {
  return typeof value === 'object' && !isList(value);
}

/** A map's keys in Go's order for strings, that of their bytes. */
export function keysOf(map: ValueMap): string[] {
  return Object.keys(map).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

/** Only what a map has itself: a template must not reach what every object has. */
export function entryOf(map: ValueMap, key: string): Value {
  return Object.hasOwn(map, key) ? map[key] : undefined;
}

/** JSON as template data. Null is nil, and so is what has no place in JSON. */
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

/** Whether `if` takes it for true: anything but false, nil, zero and what is empty. */
export function isTruthy(value: Value): boolean {
  if (isList(value)) return value.length > 0;
  if (isMap(value)) return Object.keys(value).length > 0;
  return value !== undefined && value !== false && value !== 0 && value !== 0n && value !== '';
}
