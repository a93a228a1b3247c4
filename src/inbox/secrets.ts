import { LIMITS } from './limits.js';

/** Names that hold secrets, without case and punctuation; one that ends so counts. `credential` is a name, and is none. */
const SECRET_NAMES =
  /(?:password|passwd|pwd|passphrase|token|secret|apikey|accesskey|accountkey|sharedkey|privatekey|connectionstring|authorization)$/;
/** Fields that hold a reference: `user:password@registry/…` is a mistake there. */
const REFERENCE_NAMES = /^(?:source|destination|reference|registry|subject|target|from|to)s?$/;
/** Before the first slash; what follows in a digest is no host. */
const USERINFO = /^[^/@\s]+@(?!sha(?:256|512):)/;
const URL_USERINFO = /:\/\/[^/@\s?#]+@/;
const URL_SECRET = /[?&](?:sig|access_token|token|password|code)=/i;
const KEY_BLOCK = /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/;
const BEARER = /\bBearer\s+(?:eyJ|(?=[\w.~+/-]*\d)[\w.~+/-]{20})[\w.~+/=-]*/i;
/** Of a connection string. */
const ACCOUNT_KEY = /\b(?:AccountKey|SharedAccessKey|SharedAccessSignature)=[^;\s"']+/i;
const SIGNATURE = /(?:^|[?&;\s])sig=[\w%+/=-]{16,}/i;
/** Of a Docker config: user and password, or one of them. */
const DOCKER_AUTH = /"(?:auth|password|identitytoken|registrytoken)"\s*:\s*"[^"]+"/i;
const DOCKER_AUTHS = /"auths"\s*:/;
/** `"key": "value"` or `key=value`, also with escaped quotes; the value goes to its end or the text's. */
const PAIR = new RegExp(
  [
    /(?<lead>(?<name>[A-Za-z][\w.-]{0,99})\\?["']?\s{0,20}[:=]\s{0,20})/,
    /(?:"(?:[^"\\]|\\[\s\S])*\\?"?|'[^']*'?|\\"(?:[^"\\]|\\[^"])*\\?"?|[[{][^\]}]*[\]}]?|(?:(?:Basic|Bearer)\s+)?[^\s,;&"'{}[\]]+)/,
  ]
    .map(({ source }) => source)
    .join(''),
  'g',
);
/** `user:password@`, and no tag at a digest. */
const USER_PASSWORD = /[^\s"'/@:,]{1,200}:[^\s"'/@]{1,200}@(?!sha(?:256|512):)/;
const TEXT_SECRETS = [
  KEY_BLOCK,
  BEARER,
  ACCOUNT_KEY,
  SIGNATURE,
  URL_USERINFO,
  /[?&](?:sig|access_token|token|password|code)=[^&\s"']*/,
  USER_PASSWORD,
].map(({ source }) => new RegExp(source, 'gi'));

const REDACTED = '(a secret, left out)';

/** The paths in a JSON value that hold a secret, by their name or by what stands there. Never the values. */
export function findSecrets(value: unknown): string[] {
  const found: string[] = [];
  redact(value, '', [], (path) => void found.push(path));
  return found.slice(0, LIMITS.problems);
}

/** The value, with every secret that {@link findSecrets} sees replaced, and in its texts what {@link redactText} sees. */
export function redactSecrets(value: unknown): unknown {
  return redact(value, '', [], () => {}, redactText);
}

function redact(
  value: unknown,
  name: string,
  path: readonly string[],
  onSecret: (path: string) => void,
  textOf = (text: string): string => text,
): unknown {
  const secret = (): string => {
    onSecret(path.join('.').slice(0, 300));
    return REDACTED;
  };
  if (isSecretName(name)) return secret();
  if (typeof value === 'string') return holdsSecret(value, name) ? secret() : textOf(value);
  if (typeof value !== 'object' || value === null) return value;
  // Deeper than any job goes: what can't be searched isn't kept.
  if (path.length >= LIMITS.depth) return secret();
  if (Array.isArray(value)) {
    return value.map((entry, index) => redact(entry, name, [...path, String(index)], onSecret, textOf));
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => [key, redact(entry, key, [...path, key], onSecret, textOf)]),
  );
}

/** The same for text that can't be parsed: by pattern, in place. */
export function redactText(text: string): string {
  const withoutPairs = text.replaceAll(PAIR, (pair, lead: string, name: string) =>
    isSecretName(name) || name.toLowerCase() === 'auth' ? `${lead}"${REDACTED}"` : pair,
  );
  return TEXT_SECRETS.reduce((left, pattern) => left.replaceAll(pattern, REDACTED), withoutPairs);
}

function isSecretName(name: string): boolean {
  return SECRET_NAMES.test(name.toLowerCase().replaceAll(/[^a-z0-9]/g, ''));
}

function holdsSecret(text: string, name: string): boolean {
  if (looksSecret(text) || (REFERENCE_NAMES.test(name) && USERINFO.test(text))) return true;
  return name === 'base64' && looksSecret(decoded(text));
}

function looksSecret(text: string): boolean {
  const shapes = [URL_USERINFO, URL_SECRET, KEY_BLOCK, BEARER, ACCOUNT_KEY, SIGNATURE];
  return shapes.some((shape) => shape.test(text)) || (DOCKER_AUTHS.test(text) && DOCKER_AUTH.test(text));
}

/** A file's bytes as text, no more of them than a job may hold. */
function decoded(base64: string): string {
  return Buffer.from(base64.slice(0, Math.ceil(LIMITS.inlineBytes / 3) * 4), 'base64').toString('utf8');
}
