import { createHash } from 'node:crypto';
import parseSpdx from 'spdx-expression-parse';
import licenceIds from 'spdx-license-ids/index.json' with { type: 'json' };
import deprecatedIds from 'spdx-license-ids/deprecated.json' with { type: 'json' };

/** Maximum characters of an expression. Longer texts are not real expressions, and parsing takes quadratic time. */
const LONGEST_EXPRESSION = 250;
/** Maximum characters and words of a name in an expression that SPDX does not list, such as `Public Domain`. */
const LONGEST_NAME = 60;
const MOST_WORDS = 4;

/** A declared license as SPDX writes it. */
export interface DeclaredLicence {
  /** An SPDX id, an expression or a `LicenseRef-…`. */
  expression: string;
  /** As declared, in one line. */
  text: string;
  /** True if the expression is one id of the SPDX list. */
  isId: boolean;
  /** True if the expression has operators. */
  isCompound: boolean;
  /** The declared text of each `LicenseRef-…` in the expression. */
  refs: ReadonlyMap<string, string>;
}

const BY_ID = new Map([...deprecatedIds, ...licenceIds].map((id) => [id.toLowerCase(), id]));

/** Names that say exactly which license is meant, in the form of {@link simplified}. */
const NAMES: readonly [string, string][] = [
  ['expat', 'MIT'],
  ['asl 2', 'Apache-2.0'],
  ['mozilla public 2', 'MPL-2.0'],
  ['mozilla public 2 mpl 2', 'MPL-2.0'],
  ['eclipse public 1', 'EPL-1.0'],
  ['eclipse public 2', 'EPL-2.0'],
  ['boost 1', 'BSL-1.0'],
  ['bsd 2', 'BSD-2-Clause'],
  ['simplified bsd', 'BSD-2-Clause'],
  ['bsd 3', 'BSD-3-Clause'],
  ['new bsd', 'BSD-3-Clause'],
  ['modified bsd', 'BSD-3-Clause'],
  ['3 clause bsd', 'BSD-3-Clause'],
  ['2 clause bsd', 'BSD-2-Clause'],
  ['cc0 1 universal', 'CC0-1.0'],
  ['common development and distribution 1', 'CDDL-1.0'],
];

/** Licenses by their simplified id. An entry is undefined if two ids have the same form. */
const BY_NAME = new Map<string, string | undefined>(NAMES);
for (const id of licenceIds) {
  const key = simplified(id);
  BY_NAME.set(key, BY_NAME.has(key) && BY_NAME.get(key) !== id ? undefined : id);
}

/** `The Apache License, Version 2.0` and `apache-2.0` both become `apache 2`. */
function simplified(text: string): string {
  return text
    .toLowerCase()
    .replaceAll(/[,"'()_/-]/g, ' ')
    .replaceAll(/\b(?:the|licen[cs]e|version|software)\b/g, ' ')
    .replaceAll(/(?<=^|[a-z ])v(?=\d)/g, ' ')
    .replaceAll(/(\d)\.0(?![.\d])/g, '$1')
    .replaceAll(/\s+/g, ' ')
    .trim();
}

/** `GPLv2+`, `LGPL-2.1+`, `GNU General Public License v3 or later`. A name without a version says nothing. */
const GNU =
  /^(?:gnu )?(?<kind>agpl|lgpl|gpl|affero general public|lesser general public|library general public|general public) ?(?<version>1|2|2\.1|3) ?(?<later>\+|or later|or newer)?(?: only)?(?: [al]?gpl ?[\d.]+ ?\+?)?$/;
const GNU_KINDS: Readonly<Record<string, string>> = {
  'affero general public': 'AGPL',
  'lesser general public': 'LGPL',
  'library general public': 'LGPL',
  'general public': 'GPL',
};

function gnuIdOf(name: string): string | undefined {
  const { kind = '', version = '', later } = GNU.exec(name)?.groups ?? {};
  if (kind === '') return undefined;
  const family = GNU_KINDS[kind] ?? kind.toUpperCase();
  const full = version.includes('.') ? version : `${version}.0`;
  return BY_ID.get(`${family}-${full}-${later === undefined ? 'only' : 'or-later'}`.toLowerCase());
}

/** The SPDX id of a single license. Undefined rather than a guess: `BSD`, `GPL` and `UNLICENSED` have none. */
function idOf(text: string): string | undefined {
  const exact = BY_ID.get(text.toLowerCase());
  if (exact !== undefined) return exact;
  const name = simplified(text);
  return BY_NAME.get(name) ?? gnuIdOf(name);
}

/** The reference to a license that SPDX does not list. The same text always has the same reference. */
function refOf(text: string): string {
  const slug = text
    .replaceAll(/[^\w.]+|_/g, '-')
    .slice(0, 40)
    .replaceAll(/^-+|-+$/g, '');
  return `LicenseRef-${slug === '' ? '' : `${slug}-`}${createHash('sha256').update(text).digest('hex').slice(0, 8)}`;
}

const DECLARED_REF = /^LicenseRef-[A-Za-z0-9.-]{1,100}$/;
const OPERATORS = /(?<bracket>[()])|\s(?<operator>and|or|with)(?=[\s(]|$)/gi;

/**
 * Reads an expression as package managers write it, also with lower-case operators: `GPLv2+ and (MIT or Public Domain)`.
 * Undefined if it is free text.
 */
function parseExpression(text: string): DeclaredLicence | undefined {
  const refs = new Map<string, string>();
  let isKnown = false;
  const nameOf = (name: string): string | undefined => {
    const id = idOf(name) ?? (name.endsWith('+') ? plusOf(name) : undefined);
    if (id !== undefined) {
      isKnown = true;
      return id;
    }
    const isName = name.length <= LONGEST_NAME && name.split(/\s+/).length <= MOST_WORDS && /^[\w.+ -]+$/.test(name);
    if (!isName) return undefined;
    const ref = DECLARED_REF.test(name) ? name : refOf(name);
    refs.set(ref, name);
    return ref;
  };
  const parts: string[] = [];
  let [at, operator] = [0, ''];
  const addName = (end: number): boolean => {
    const name = text.slice(at, end).trim();
    if (name === '') return true;
    // An exception has no list of names here: the parser checks it.
    const part = operator === 'WITH' ? name : nameOf(name);
    if (part !== undefined) parts.push(part);
    return part !== undefined;
  };
  for (const match of text.matchAll(OPERATORS)) {
    if (!addName(match.index)) return undefined;
    at = match.index + match[0].length;
    operator = match.groups?.operator?.toUpperCase() ?? '';
    parts.push(match.groups?.bracket ?? operator);
  }
  if (!addName(text.length) || !isKnown) return undefined;
  return checked(text, parts.join(' ').replaceAll('( ', '(').replaceAll(' )', ')'), refs);
}

function plusOf(name: string): string | undefined {
  const id = idOf(name.slice(0, -1));
  return id === undefined ? undefined : `${id}+`;
}

/** Undefined if the expression is not valid. */
function checked(text: string, expression: string, refs: ReadonlyMap<string, string>): DeclaredLicence | undefined {
  try {
    return { expression, text, isId: false, isCompound: 'conjunction' in parseSpdx(expression), refs };
  } catch {
    return undefined;
  }
}

/**
 * A declared license as an SPDX expression. What SPDX does not list becomes a `LicenseRef-…` with its text: nothing is
 * guessed. The time is linear in the length of the text. Undefined for a text that declares nothing.
 * @see https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions/
 */
export function toSpdx(declared: string): DeclaredLicence | undefined {
  const text = declared.replaceAll(/\s+/g, ' ').trim();
  if (text === '' || text === 'NOASSERTION' || text === 'NONE') return undefined;
  const single = text.length > LONGEST_EXPRESSION ? undefined : idOf(text);
  if (single !== undefined) return { expression: single, text, isId: true, isCompound: false, refs: new Map() };
  const parsed = text.length > LONGEST_EXPRESSION ? undefined : parseExpression(text);
  if (parsed !== undefined) return parsed;
  const ref = DECLARED_REF.test(text) ? text : refOf(text);
  return { expression: ref, text, isId: false, isCompound: false, refs: new Map([[ref, text]]) };
}

/** Remembers each parsed license: few different ones occur in a document. */
export class Licences {
  readonly #byText = new Map<string, DeclaredLicence | undefined>();

  /** The declared licenses, each once, without those that say nothing. */
  read(texts: readonly string[]): DeclaredLicence[] {
    const read = texts.map((text) => this.#read(text)).filter((licence) => licence !== undefined);
    return [...new Map(read.map((licence) => [licence.expression, licence])).values()];
  }

  #read(text: string): DeclaredLicence | undefined {
    if (!this.#byText.has(text)) this.#byText.set(text, toSpdx(text));
    return this.#byText.get(text);
  }
}

/** All of the licenses apply. A package manager that lists several says no more than that. */
export function allOf(licences: readonly DeclaredLicence[]): string {
  const several = licences.length > 1;
  const texts = licences.map(({ expression, isCompound }) => (several && isCompound ? `(${expression})` : expression));
  return texts.join(' AND ');
}
