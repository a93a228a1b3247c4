import type { Name } from '@peculiar/asn1-x509';
import { ConfigurationError, quoted } from '../oci/index.js';

/** Maximum characters of a trusted identity. `TRUST_IDENTITY_INVALID` */
const IDENTITY_CHARS = 4096;

/** One attribute: its short name (`CN`), or its OID if it has none, and its value. */
interface NameAttribute {
  type: string;
  value: string;
}

/** A subject or an issuer, with its attributes in the certificate's order. */
export type DistinguishedName = readonly NameAttribute[];

/**
 * Short names of attributes.
 * @see https://www.rfc-editor.org/rfc/rfc4514#section-3
 */
const SHORT_NAMES: ReadonlyMap<string, string> = new Map([
  ['2.5.4.3', 'CN'],
  ['2.5.4.5', 'SERIALNUMBER'],
  ['2.5.4.6', 'C'],
  ['2.5.4.7', 'L'],
  ['2.5.4.8', 'ST'],
  ['2.5.4.9', 'STREET'],
  ['2.5.4.10', 'O'],
  ['2.5.4.11', 'OU'],
  ['2.5.4.17', 'POSTALCODE'],
  ['0.9.2342.19200300.100.1.25', 'DC'],
  ['0.9.2342.19200300.100.1.1', 'UID'],
]);
const KNOWN_TYPES: ReadonlySet<string> = new Set(SHORT_NAMES.values());
const DOTTED = /^[0-2](?:\.(?:0|[1-9][0-9]*))+$/;

/** Reads a name from ASN.1. */
export function readName(name: Name): DistinguishedName {
  return name.flatMap((part) =>
    part.map(({ type, value }) => ({ type: SHORT_NAMES.get(type) ?? type, value: value.toString() })),
  );
}

/** Formats a name (RFC 4514): the last attribute first, special characters escaped. */
export function formatName(name: DistinguishedName): string {
  return name
    .toReversed()
    .map(({ type, value }) => `${type}=${escapeValue(value)}`)
    .join(',');
}

function escapeValue(value: string): string {
  return value.replaceAll(/^[ #]| $|[\\",+<>;=]/g, String.raw`\$&`).replaceAll('\0', String.raw`\00`);
}

/** The attributes that a certificate's subject must have. An empty map matches any subject. */
export type TrustedIdentity = ReadonlyMap<string, string>;

const PREFIX = 'x509.subject:';

/**
 * Parses an identity of a trust policy, `x509.subject: C=US, ST=WA, O=Example`, or `*` for any subject. Unlike
 * notation, it does not require C, ST and O: it requires at least one attribute, each at most once, and no attribute
 * with several values.
 * @throws ConfigurationError `TRUST_IDENTITY_INVALID`
 * @see
 *   https://github.com/notaryproject/specifications/blob/v1.1.0/specs/trust-store-trust-policy.md#trusted-identities-constraints
 */
export function parseTrustedIdentity(text: string): TrustedIdentity {
  if (text.trim() === '*') return new Map();
  const fail = (why: string): never => {
    throw new ConfigurationError(
      'TRUST_IDENTITY_INVALID',
      `${JSON.stringify(text.slice(0, 300))} is not a trusted identity: ${why}`,
      {
        remedy: 'Write it as "x509.subject: C=US, ST=WA, O=Example", or "*" for any subject of a trusted certificate.',
      },
    );
  };
  if (text.length > IDENTITY_CHARS) return fail(`it is longer than ${IDENTITY_CHARS} characters`);
  if (!text.startsWith(PREFIX)) return fail(`it does not start with ${PREFIX}`);
  const typeOf = (written: string): string | undefined => {
    const type = SHORT_NAMES.get(written) ?? written;
    return KNOWN_TYPES.has(type) || DOTTED.test(type) ? type : undefined;
  };
  return readAttributes(text.slice(PREFIX.length), typeOf, fail);
}

/**
 * Reads a list of attributes, `C=US, ST=WA, O=Example`, in any order (RFC 4514, without hexadecimal or multiple values).
 * @param typeOf the type of a name in capitals; undefined if it is not supported
 * @param fail throws for the reason that it gets
 */
export function readAttributes(
  text: string,
  typeOf: (written: string) => string | undefined,
  fail: (why: string) => never,
): Map<string, string> {
  const result = new Map<string, string>();
  for (const part of splitUnescaped(text, ',')) {
    const equals = part.indexOf('=');
    if (equals < 0) return fail(`${quoted(part.trim(), 100)} has no =`);
    const written = part.slice(0, equals).trim().toUpperCase();
    const type = typeOf(written === 'S' ? 'ST' : written);
    if (type === undefined) return fail(`${quoted(written, 100)} is not a supported attribute`);
    // Only spaces are trimmed. Other white space is part of the value.
    const raw = part.slice(equals + 1).replace(/^ +/, '');
    if (raw.startsWith('#')) return fail('values in hexadecimal are not supported');
    if (splitUnescaped(raw, '+').length > 1) return fail('an attribute with several values is not supported');
    const value = unescapeValue(trimEndUnescaped(raw));
    if (value === undefined || value === '') return fail(`the value of ${type} is empty or not well formed`);
    if (result.has(type)) return fail(`${type} occurs twice`);
    result.set(type, value);
  }
  return result;
}

/** True if the subject has each attribute of the identity exactly once and with that value. */
export function matchesIdentity(subject: DistinguishedName, identity: TrustedIdentity): boolean {
  return [...identity].every(([type, value]) => {
    const found = subject.filter((attribute) => attribute.type === type);
    return found.length === 1 && found[0]?.value === value;
  });
}

function splitUnescaped(text: string, separator: string): string[] {
  const parts: string[] = [];
  let start = 0;
  for (let index = 0; index < text.length; index += 1) {
    if (text[index] === '\\') index += 1;
    else if (text[index] === separator) {
      parts.push(text.slice(start, index));
      start = index + 1;
    }
  }
  return [...parts, text.slice(start)];
}

/** Removes trailing spaces, except an escaped one. */
function trimEndUnescaped(text: string): string {
  const trimmed = text.replace(/ +$/, '');
  const backslashes = /\\*$/.exec(trimmed)?.[0].length ?? 0;
  return backslashes % 2 === 1 ? text.slice(0, trimmed.length + 1) : trimmed;
}

/**
 * Decodes escapes such as `\,` and `\C3\A9`.
 * @returns undefined if an escape or a quote is malformed
 */
function unescapeValue(text: string): string | undefined {
  const bytes: Buffer[] = [];
  let rest = text;
  while (rest !== '') {
    const plain = /^[^\\"+,;<>\0]+/.exec(rest)?.[0];
    const hex = /^\\([0-9A-Fa-f]{2})/.exec(rest)?.[1];
    const special = /^\\([\\"+,;<>=# ])/.exec(rest)?.[1];
    if (plain !== undefined) {
      bytes.push(Buffer.from(plain, 'utf8'));
      rest = rest.slice(plain.length);
    } else if (hex !== undefined) {
      bytes.push(Buffer.from(hex, 'hex'));
      rest = rest.slice(3);
    } else if (special !== undefined) {
      bytes.push(Buffer.from(special, 'utf8'));
      rest = rest.slice(2);
    } else return undefined;
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(bytes));
  } catch {
    return undefined;
  }
}
