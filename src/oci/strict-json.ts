import { isRecord } from './descriptor.js';
import { InputError } from './errors.js';

/** Names of one object in a manifest or an image's config, annotations for example. `MANIFEST_INVALID` */
export const MOST_OBJECT_NAMES = 10_000;

interface OpenObject {
  isNameNext: boolean;
  /** The last name; undefined before the first. */
  name?: string;
  /** Kept from the second name on: a deep text has many objects of one name. */
  names?: Set<string>;
}

/** What is open where the text is read: an object, or a list and the position in it. */
type Open = OpenObject | { index: number };

/**
 * Paths of names that an object has twice. `JSON.parse` takes the last and says nothing; other readers take the first, or both.
 * @param text JSON that `JSON.parse` has taken; it is read once, from start to end
 * @param onNames told how many names an object has so far
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

/** Takes the name down. */
function isRepeated(object: OpenObject, name: string): boolean {
  const { name: last, names = new Set(last === undefined ? [] : [last]) } = object;
  const repeated = names.has(name);
  if (last !== undefined) object.names = names.add(name);
  object.name = name;
  object.isNameNext = false;
  return repeated;
}

/** Position of the quotation mark that closes the one at `start`. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === '"') return at;
  }
  return text.length;
}

/** The letters that Go's case folding takes for an ASCII letter besides its own two cases: U+017F and U+212A. */
function fold(name: string): string {
  return name.replaceAll(/[A-Z\u017F\u212A]/g, (letter) =>
    letter === '\u017F' ? 's' : letter === '\u212A' ? 'k' : letter.toLowerCase(),
  );
}

function ambiguous(where: string, why: string): InputError {
  return new InputError('MANIFEST_AMBIGUOUS', `${where}: ${why}`, {
    remedy: 'Build it again with a current client: programs would read different things in it.',
  });
}

/**
 * @throws InputError `MANIFEST_AMBIGUOUS` if an object in it, at whatever depth, has a name twice; `MANIFEST_INVALID` for one with so
 *   many names that whoever reads them stands still for seconds
 */
export function refuseRepeatedNames(text: string, where: string): void {
  const refuseMany = (count: number): void => {
    if (count > MOST_OBJECT_NAMES)
      throw new InputError('MANIFEST_INVALID', `${where} has an object with over ${MOST_OBJECT_NAMES} names`);
  };
  for (const path of repeatedNames(text, refuseMany))
    throw ambiguous(where, `${shown(path.join('.'))} stands in it twice`);
}

/**
 * Refuses a name that Go's encoding/json would take for one of the known names, and other readers would not.
 * @param known names as they are written; ASCII only
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
        throw ambiguous(where, `${shown(name)} is not ${each}, and Go reads it as such`);
    }
  }
}

/** A name is whatever its maker wrote there. */
function shown(name: string): string {
  return JSON.stringify(name.slice(0, 200));
}
