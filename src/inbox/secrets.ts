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
const KEY_BLOCK = /-----BEGIN [A-Z ]*PRIVATE KEY-----/;

const REDACTED = '(a secret, left out)';

/** The paths in a JSON value that hold a secret, by their name or by what stands there. Never the values. */
export function findSecrets(value: unknown): string[] {
  const found: string[] = [];
  redactSecrets(value, (path) => void found.push(path));
  return found.slice(0, LIMITS.problems);
}

/** The value, with every secret that {@link findSecrets} sees replaced. */
export function redactSecrets(value: unknown, onSecret: (path: string) => void = () => {}): unknown {
  return redact(value, '', [], onSecret);
}

function redact(value: unknown, name: string, path: readonly string[], onSecret: (path: string) => void): unknown {
  const secret = (): string => {
    onSecret(path.join('.').slice(0, 300));
    return REDACTED;
  };
  if (SECRET_NAMES.test(name.toLowerCase().replaceAll(/[^a-z0-9]/g, ''))) return secret();
  if (typeof value === 'string') return holdsSecret(value, name) ? secret() : value;
  if (typeof value !== 'object' || value === null) return value;
  // Deeper than any job goes: what can't be searched isn't kept.
  if (path.length >= LIMITS.depth) return secret();
  if (Array.isArray(value)) {
    return value.map((entry, index) => redact(entry, name, [...path, String(index)], onSecret));
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => [key, redact(entry, key, [...path, key], onSecret)]),
  );
}

function holdsSecret(text: string, name: string): boolean {
  if (URL_USERINFO.test(text) || URL_SECRET.test(text) || KEY_BLOCK.test(text)) return true;
  return REFERENCE_NAMES.test(name) && USERINFO.test(text);
}
