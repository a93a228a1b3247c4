import { MOST_LEVELS } from './shape.js';
import { MOST_PROBLEMS } from './problems.js';

// A job is kept in queues, rows and logs, so it may hold no secret. These are the secrets that are recognised: fields with the name of a
// credential, user and password in URLs and references, storage keys, shared access signatures, authorization headers, private keys and
// JSON Web Tokens. Each pattern looks at a character a bounded number of times.

/** The end of a name that holds a secret, without case and punctuation. `credential` is the name of one, and no secret. */
const SECRET_NAME =
  /(?:password|passwd|pwd|passphrase|token|secret|apikey|accesskey|accountkey|sharedkey|privatekey|connectionstring|authorization)$/;

const SHAPES = [
  // User and password in a URL.
  /:\/\/[^/@\s?#]+@/gi,
  // Of a connection string: https://learn.microsoft.com/azure/storage/common/storage-configure-connection-string
  /\b(?:AccountKey|SharedAccessKey|SharedAccessSignature)=[^;\s"']+/gi,
  /[?&]sig=[^&\s"']+/gi,
  /(?:^|[;\s"'])sig=[\w%+/=-]{16,}/gi,
  /\bAuthorization\\{0,3}["']?\s{0,20}[:=]\s{0,20}\\{0,3}["']?(?:Basic|Bearer)\s{1,20}[\w.~+/=-]{4,}/gi,
  /\bBearer\s{1,20}eyJ[\w.~+/=-]{4,}/gi,
  /-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----|$)/g,
  // A JSON Web Token, signed or encrypted: https://www.rfc-editor.org/rfc/rfc7515#section-7.1
  /(?<![\w-])eyJ[\w-]{8,}(?:\.[\w-]{8,}){2}(?:\.[\w-]*){0,2}/g,
];

/** In a text that is no JSON: a name that holds a secret, and its value. */
const PAIR =
  /(?<lead>(?:password|passwd|pwd|passphrase|token|secret|(?:api|access|account|shared|private)[-_]?key|connection[-_]?string|authorization)\\{0,3}["']?\s{0,20}[:=]\s{0,20})(?:"(?:[^"\\]|\\[\s\S])*\\?"?|'[^']*'?|\\+"(?:[^"\\]|\\[^"])*\\?"?|[[{][^\]}]*[\]}]?|(?:(?:Basic|Bearer)\s{1,20})?[^\s,;&"'{}[\]]+)/gi;
/** In such a text: `user:password@`, but no tag before a digest. */
const USER_PASSWORD = /(?<![^\s"'/@:,])[^\s"'/@:,]{1,200}:[^\s"'/@]{1,200}@(?!sha(?:256|512):)/g;

/** Fields that hold a reference: `user:password@registry/…` is a mistake there. */
const REFERENCE_NAME = /^(?:source|destination|reference|registry|subject|target|from|to)s?$/;
/** Before the first slash. A digest stands behind a repository, and no host. */
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

/** What is done with the secrets of a value. */
interface Treatment {
  onSecret(path: string): void;
  /** Replaces a secret; undefined removes its member. */
  replacement: string | undefined;
  textOf(text: string): string;
}

/** The paths in a JSON value that hold a secret, and the value without them. Never the secrets. */
export function findSecrets(value: unknown): { paths: string[]; rest: unknown } {
  const paths: string[] = [];
  const onSecret = (path: string): void => void paths.push(path);
  const rest = treat(value, '', [], { onSecret, replacement: undefined, textOf: (text) => text });
  return { paths: paths.slice(0, MOST_PROBLEMS), rest };
}

/** The value with every secret that {@link findSecrets} finds replaced, and its texts as {@link redactText} leaves them. */
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
  // Deeper than any job goes: what is not searched is not kept.
  if (path.length >= MOST_LEVELS) return secret();
  if (Array.isArray(value)) {
    return value.map((entry: unknown, index) => treat(entry, name, [...path, String(index)], treatment) ?? null);
  }
  const members = Object.entries(value).map(([key, entry]): [string, unknown] => {
    // A name may be the secret itself.
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
