import { MOST_LEVELS } from './shape.js';
import { MOST_PROBLEMS } from './problems.js';

// Jobs are stored in queues, rows and logs, so a job may not contain a secret. These secrets are recognised: fields
// with the name of a credential, user and password in URLs and references, storage keys, shared access signatures,
// authorization headers, private keys and JSON Web Tokens. Each pattern looks at a character a limited number of times.

/**
 * The end of a field name whose value is a secret, without case and punctuation. `credential` is not included: its
 * value is a name.
 */
const SECRET_NAME =
  /(?:password|passwd|pwd|passphrase|token|secret|apikey|accesskey|accountkey|sharedkey|privatekey|connectionstring|authorization)$/;

const SHAPES = [
  // User and password in a URL.
  /:\/\/[^/@\s?#]+@/gi,
  // In a connection string: https://learn.microsoft.com/azure/storage/common/storage-configure-connection-string
  /\b(?:AccountKey|SharedAccessKey|SharedAccessSignature)=[^;\s"']+/gi,
  /[?&]sig=[^&\s"']+/gi,
  /(?:^|[;\s"'])sig=[\w%+/=-]{16,}/gi,
  /\bAuthorization\\{0,3}["']?\s{0,20}[:=]\s{0,20}\\{0,3}["']?(?:Basic|Bearer)\s{1,20}[\w.~+/=-]{4,}/gi,
  /\bBearer\s{1,20}eyJ[\w.~+/=-]{4,}/gi,
  /-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----|$)/g,
  // A JSON Web Token, signed or encrypted: https://www.rfc-editor.org/rfc/rfc7515#section-7.1
  /(?<![\w-])eyJ[\w-]{8,}(?:\.[\w-]{8,}){2}(?:\.[\w-]*){0,2}/g,
];

/** In a text that is not JSON: the name of a secret and its value. */
const PAIR =
  /(?<lead>(?:password|passwd|pwd|passphrase|token|secret|(?:api|access|account|shared|private)[-_]?key|connection[-_]?string|authorization)\\{0,3}["']?\s{0,20}[:=]\s{0,20})(?:"(?:[^"\\]|\\[\s\S])*\\?"?|'[^']*'?|\\+"(?:[^"\\]|\\[^"])*\\?"?|[[{][^\]}]*[\]}]?|(?:(?:Basic|Bearer)\s{1,20})?[^\s,;&"'{}[\]]+)/gi;
/** In a text that is not JSON: `user:password@`, but not a tag before a digest. */
const USER_PASSWORD = /(?<![^\s"'/@:,])[^\s"'/@:,]{1,200}:[^\s"'/@]{1,200}@(?!sha(?:256|512):)/g;

/** Fields with a reference. `user:password@registry/…` in them contains a secret. */
const REFERENCE_NAME = /^(?:source|destination|reference|registry|subject|target|from|to)s?$/;
/** A user before the first slash. In a reference, `@` before a digest comes after the repository. */
const USERINFO = /^[^/@\s]+@(?!sha(?:256|512):)/;

const REDACTED = '(a secret, left out)';

/** Whether a text contains a secret. */
export function looksSecret(text: string): boolean {
  return SHAPES.some((shape) => text.search(shape) >= 0);
}

/** The text without its secrets, and without the values of names that hold secrets. */
export function redactText(text: string): string {
  const paired = text.replaceAll(PAIR, `$<lead>"${REDACTED}"`);
  return [...SHAPES, USER_PASSWORD].reduce((left, shape) => left.replaceAll(shape, REDACTED), paired);
}

/** What to do with the secrets in a value. */
interface Treatment {
  onSecret(path: string): void;
  /** The replacement of a secret. Undefined removes the field. */
  replacement: string | undefined;
  textOf(text: string): string;
}

/** The paths of secrets in a JSON value, and the value without them. The result never contains a secret. */
export function findSecrets(value: unknown): { paths: string[]; rest: unknown } {
  const paths: string[] = [];
  const onSecret = (path: string): void => void paths.push(path);
  const rest = treat(value, '', [], { onSecret, replacement: undefined, textOf: (text) => text });
  return { paths: paths.slice(0, MOST_PROBLEMS), rest };
}

/** The value with all secrets replaced ({@link findSecrets}), also in its texts ({@link redactText}). */
export function redactSecrets(value: unknown): unknown {
  return treat(value, '', [], { onSecret: () => {}, replacement: REDACTED, textOf: redactText });
}

function treat(value: unknown, name: string, path: readonly string[], treatment: Treatment): unknown {
  const secret = (): string | undefined => {
    treatment.onSecret(path.join('.').slice(0, 300));
    return treatment.replacement;
  };
  if (
    SECRET_NAME.test(
      name
        .slice(-200)
        .toLowerCase()
        .replaceAll(/[^a-z]/g, ''),
    )
  )
    return secret();
  if (typeof value === 'string') return holdsSecret(value, name) ? secret() : treatment.textOf(value);
  if (typeof value !== 'object' || value === null) return value;
  // No job is nested this deeply. Content that is not searched is not kept.
  if (path.length >= MOST_LEVELS) return secret();
  if (Array.isArray(value)) {
    return value.map((entry: unknown, index) => treat(entry, name, [...path, String(index)], treatment) ?? null);
  }
  const members = Object.entries(value).map(([key, entry]): [string, unknown] => {
    // The name of a field may be the secret.
    if (!looksSecret(key)) return [key, treat(entry, key, [...path, key], treatment)];
    treatment.onSecret([...path, REDACTED].join('.').slice(0, 300));
    return [REDACTED, treatment.replacement];
  });
  return Object.fromEntries(members.filter(([, entry]) => entry !== undefined));
}

function holdsSecret(text: string, name: string): boolean {
  if (looksSecret(text) || (REFERENCE_NAME.test(name) && USERINFO.test(text))) return true;
  // The bytes of a file.
  return name === 'base64' && looksSecret(Buffer.from(text, 'base64').toString('utf8'));
}
