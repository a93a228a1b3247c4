import { ConfigurationError, quoted } from '../oci/index.js';
import { readAttributes } from './distinguished-name.js';

/** An attribute of a subject. */
export interface SubjectAttribute {
  /** `O` */
  type: string;
  /** `2.5.4.10` */
  oid: string;
  value: string;
}

/**
 * Supported attributes in the order of a subject, most general first. The number is the maximum length of the value by
 * RFC 5280.
 */
const ATTRIBUTES: ReadonlyMap<string, readonly [oid: string, characters: number]> = new Map([
  ['C', ['2.5.4.6', 2]],
  ['ST', ['2.5.4.8', 128]],
  ['L', ['2.5.4.7', 128]],
  ['O', ['2.5.4.10', 64]],
  ['OU', ['2.5.4.11', 64]],
  ['CN', ['2.5.4.3', 64]],
]);
/** Attributes that a trust policy of notation needs at least. */
const NAMED_BY_NOTATION = ['C', 'ST', 'O'];

/**
 * Parses a subject in the form of a trust policy, `C=US, ST=WA, O=Example, CN=release`, in any order.
 * @throws ConfigurationError `SUBJECT_INVALID`
 */
export function parseSubject(text: string): SubjectAttribute[] {
  const fail = (why: string): never => {
    throw new ConfigurationError('SUBJECT_INVALID', `${quoted(text, 300)} is not a subject: ${why}`, {
      remedy:
        'Write it as "C=US, ST=WA, O=Example, CN=release": C, ST, L, O, OU and CN, each once; a comma in a value as \\,',
    });
  };
  const found = readAttributes(text, (written) => (ATTRIBUTES.has(written) ? written : undefined), fail);
  for (const [type, [, characters]] of ATTRIBUTES) {
    if ((found.get(type) ?? '').length > characters) return fail(`${type} has more than ${characters} characters`);
  }
  const country = found.get('C');
  if (country !== undefined && !/^[A-Z]{2}$/.test(country))
    return fail('C must be a country code of two capital letters');
  if (!found.has('CN')) return fail('CN is missing');
  return subjectOf(Object.fromEntries(found));
}

/** Converts values by short name to attributes in the order of a subject. */
export function subjectOf(values: Readonly<Record<string, string | undefined>>): SubjectAttribute[] {
  return [...ATTRIBUTES].flatMap(([type, [oid]]) => {
    const value = values[type];
    return value === undefined ? [] : [{ type, oid, value }];
  });
}

/** The missing attributes without which a trust policy of notation can name the subject only by `*`. */
export function missingForNotation(subject: readonly SubjectAttribute[]): string[] {
  return NAMED_BY_NOTATION.filter((type) => !subject.some((attribute) => attribute.type === type));
}
