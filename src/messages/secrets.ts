import { newUnpacking, readBytes, type Unpacking } from './encoded-text.js';
import {
  isAuthName,
  isJwkSecret,
  isSecretName,
  isSecretUnder,
  isUserPassword,
  looksSecret,
  REDACTED,
  redactText,
} from './secret-shapes.js';
import { MOST_LEVELS } from './shape.js';
import { INLINE_BYTES } from './message-text.js';
import { MOST_PROBLEMS } from './problems.js';

/** Fields that hold a reference: `user:password@registry/…` is a mistake there. */
const REFERENCE_NAMES = /^(?:source|destination|reference|registry|subject|target|from|to)s?$/;
/** Before the first slash; what follows in a digest is no host. */
const USERINFO = /^[^/@\s]+@(?!sha(?:256|512):)/;

/** What is done with a secret that was found at a path, and with what else stands there. */
interface Treatment {
  onSecret(path: string): void;
  /** Stands in a secret's place; undefined takes its member out. */
  replacement: string | undefined;
  textOf(text: string, name: string): string;
  /** For all that is searched. */
  unpacking: Unpacking;
}

/** The paths in a JSON value that hold a secret, by their name or by what stands there, and the value without. Never the values. */
export function findSecrets(value: unknown): { paths: string[]; rest: unknown } {
  const paths: string[] = [];
  const rest = treat(value, '', [], {
    onSecret: (path) => void paths.push(path),
    replacement: undefined,
    textOf: (text) => text,
    unpacking: newUnpacking(),
  });
  return { paths: paths.slice(0, MOST_PROBLEMS), rest };
}

/** The value, with every secret that {@link findSecrets} sees replaced, and in its texts what {@link redactText} sees. */
export function redactSecrets(value: unknown): unknown {
  return treat(value, '', [], {
    onSecret: () => {},
    replacement: REDACTED,
    // Whatever it has in base64 was looked at before.
    textOf: (text, name) => (isAuthName(name) ? REDACTED : redactText(text, { bytes: 0 })),
    unpacking: newUnpacking(),
  });
}

function treat(value: unknown, name: string, path: readonly string[], treatment: Treatment): unknown {
  const secret = (): string | undefined => {
    treatment.onSecret(path.join('.').slice(0, 300));
    return treatment.replacement;
  };
  if (isSecretName(name)) return secret();
  if (typeof value === 'string')
    return holdsSecret(value, name, treatment.unpacking) ? secret() : treatment.textOf(value, name);
  if (typeof value !== 'object' || value === null) return value;
  // Deeper than any job goes: what can't be searched isn't kept.
  if (path.length >= MOST_LEVELS) return secret();
  if (Array.isArray(value)) {
    return value.map((entry: unknown, index) => {
      const here = [...path, String(index)];
      return treat(entry, nameInList(value[index - 1], entry) ?? name, here, treatment) ?? null;
    });
  }
  const members = Object.entries(value).map(([key, entry]): [string, unknown] => {
    // A name may be the secret itself.
    if (!looksSecret(key, treatment.unpacking)) {
      return [key, treat(entry, nameOf(key, value), [...path, key], treatment)];
    }
    treatment.onSecret([...path, REDACTED].join('.').slice(0, 300));
    return [REDACTED, treatment.replacement];
  });
  return Object.fromEntries(members.filter(([, entry]) => entry !== undefined));
}

/** What a member is called; `{"name": "DB_PASSWORD", "value": "…"}` is called as it says, and what is private of a key is secret. */
function nameOf(key: string, object: object): string {
  const { name, key: named = name, kty }: { name?: unknown; key?: unknown; kty?: unknown } = object;
  if (key === 'value' && typeof named === 'string') return named;
  return isJwkSecret(key, kty) ? 'secret' : key;
}

/** In the words of a command, as in `["--password", "…"]`, an entry is called as the one before it says. */
function nameInList(before: unknown, entry: unknown): string | undefined {
  if (typeof before !== 'string' || typeof entry !== 'string' || !/^--?[A-Za-z][\w-]{0,60}$/.test(before))
    return undefined;
  return looksSecret(`${before} ${entry}`) ? 'secret' : before;
}

function holdsSecret(text: string, name: string, unpacking: Unpacking): boolean {
  if (looksSecret(text, unpacking) || (REFERENCE_NAMES.test(name) && USERINFO.test(text))) return true;
  if (isAuthName(name) && isUserPassword(text)) return true;
  return isSecretUnder(name, text) || (name === 'base64' && looksSecret(decoded(text, unpacking), unpacking));
}

/** A file's bytes as text, no more of them than a job may hold. */
function decoded(base64: string, unpacking: Unpacking): string {
  return readBytes(Buffer.from(base64.slice(0, Math.ceil(INLINE_BYTES / 3) * 4), 'base64'), unpacking);
}
