import { isRecord } from './descriptor.js';
import { InputError } from './errors.js';

/** Maximum names in one object of a manifest or an image's config, for example annotations. `MANIFEST_INVALID` */
export const MOST_OBJECT_NAMES = 10_000;

interface OpenObject {
  isNameNext: boolean;
  /** The last name that was read; undefined before the first. */
  name?: string;
  /** All names so far. It is created with the second name, because deep JSON has many objects with one name. */
  names?: Set<string>;
}

/** An object or list that encloses the current position; for a list, the index of the current item. */
type Open = OpenObject | { index: number };

/**
 * Yields the path of each name that occurs twice in an object. `JSON.parse` keeps the last value without an error;
 * other parsers keep the first, or both.
 * @param text valid JSON; it is read once, from start to end
 * @param onNames called with the number of names that the current object has so far
 */
export function* repeatedNames(text: string, onNames?: (count: number) => void): Generator<(string | number)[]> {
  const open: Open[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const within = open.at(-1);
    switch (text.charAt(at)) {
      case '{':
        open.push({ isNameNext: true });
        break;
      case '[':
        open.push({ index: 0 });
        break;
      case '}':
      case ']':
        open.pop();
        break;
      case ',':
        if (within === undefined) break;
        if ('index' in within) within.index += 1;
        else within.isNameNext = true;
        break;
      case '"': {
        const end = endOfString(text, at);
        if (within !== undefined && 'isNameNext' in within && within.isNameNext) {
          if (isRepeated(within, String(JSON.parse(text.slice(at, end + 1)))))
            yield open.map((each) => ('index' in each ? each.index : (each.name ?? '')));
          onNames?.(within.names?.size ?? 1);
        }
        at = end;
        break;
      }
      default:
    }
  }
}

/**
 * Records the name.
 * @returns true if the object already has it
 */
function isRepeated(object: OpenObject, name: string): boolean {
  const { name: last, names = new Set(last === undefined ? [] : [last]) } = object;
  const repeated = names.has(name);
  if (last !== undefined) object.names = names.add(name);
  object.name = name;
  object.isNameNext = false;
  return repeated;
}

/** Position of the quotation mark that ends the string starting at `start`. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === '"') return at;
  }
  return text.length;
}

/** Folds case as Go does, which also folds U+017F to `s` and U+212A to `k`. */
function fold(name: string): string {
  return name.replaceAll(/[A-Z\u017F\u212A]/g, (letter) =>
    letter === '\u017F' ? 's' : letter === '\u212A' ? 'k' : letter.toLowerCase(),
  );
}

function ambiguous(where: string, why: string): InputError {
  return new InputError('MANIFEST_AMBIGUOUS', `${where}: ${why}`, {
    remedy: 'Rebuild it with a current client: different clients would read different content in it.',
  });
}

/**
 * Refuses JSON in which any object has a name twice.
 * @throws InputError `MANIFEST_AMBIGUOUS` for a repeated name; `MANIFEST_INVALID` for an object with so many names that
 *   reading it would block the process for seconds
 */
export function refuseRepeatedNames(text: string, where: string): void {
  const refuseMany = (count: number): void => {
    if (count > MOST_OBJECT_NAMES)
      throw new InputError('MANIFEST_INVALID', `${where} has an object with more than ${MOST_OBJECT_NAMES} names`);
  };
  for (const path of repeatedNames(text, refuseMany)) throw ambiguous(where, `${shown(path.join('.'))} occurs twice`);
}

/**
 * Refuses a name that Go's encoding/json matches to a known name, but other parsers do not.
 * @param known names in their exact spelling; ASCII only
 * @throws InputError `MANIFEST_AMBIGUOUS`
 * @see https://pkg.go.dev/encoding/json#Unmarshal
 */
export function refuseFoldedNames(value: unknown, known: ReadonlySet<string>, where: string): void {
  if (!isRecord(value)) return;
  for (const name of Object.keys(value)) {
    if (known.has(name)) continue;
    const folded = fold(name);
    for (const each of known) {
      if (each.length === name.length && fold(each) === folded)
        throw ambiguous(where, `${shown(name)} is not ${each}, but Go reads it as ${each}`);
    }
  }
}

/** Quotes and cuts a name, because a stranger chose it. */
function shown(name: string): string {
  return JSON.stringify(name.slice(0, 200));
}
