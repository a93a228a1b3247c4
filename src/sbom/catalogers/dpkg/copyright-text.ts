import { Skips } from '../skips.js';

/** Maximum bytes of a text. The longest real ones have 200 kB. */
const MOST_BYTES = 1024 * 1024;
const MOST_LICENSES = 100;
/** Maximum places that name a license of the GNU project. */
const MOST_NOTICES = 10_000;

/** What begins a line of a comment or a quotation. */
const MARGIN = /^[\s*#/;|>%-]+/gm;
/** Who says that something is licensed: `under the terms of the`, `is covered by the`. */
const GRANT =
  /\b(?:terms(?: and conditions)? of|under|subject to|covered by|licen[cs]ed as|licen[cs]e(?: for [\w-]+)? is)(?: either)?(?: the)?(?: version (?<version>[123](?:\.[01])?) of the)? $/i;
const GNU = /\bGNU (?:GNU )?(?<kind>Lesser |Library |Affero |Free Documentation )?(?:General Public )?Licen[cs]e\b/gi;
/** Before the version there is no other license, and no end of a sentence. */
const VERSION = /^(?:(?!licen[cs]e\b)[^.]){0,60}?\bv(?:ersion )?(?<version>[123](?:\.[0123])?)\b/i;
const LATER =
  /^(?:\.0)?(?:\+|(?: of the licen[cs]e)?[,;]? ?\(?or[,;]? ?(?:\(?at your (?:option|choice)\)?[,;]? ?)?(?:\(?any )?(?:later|newer)\b)/i;
const NAMES: Readonly<Record<string, string>> = {
  '': 'GPL',
  lesser: 'LGPL',
  library: 'LGPL',
  affero: 'AGPL',
  'free documentation': 'GFDL',
};
/** A license whose text every Debian system has. */
const REFERENCE = /\/usr\/share\/common-licenses\/(?<name>[A-Za-z][\w+-]*(?:\.\d+)*)/g;
const FAMILY = /^(?:A|L)?GPL|^GFDL/;
/** Other licenses, by a text that only they have. That of Expat has no names in it; SPDX calls it MIT. */
const KNOWN = {
  'PSF-2.0': 'PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2',
  'GCC Runtime Library Exception': 'GCC Runtime Library Exception',
  Expat:
    'Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the following conditions: The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software. THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND',
} as const;

/**
 * The licenses that a copyright file for people names, sorted: those of the GNU project where it says that something is
 * licensed under a version of them, a few others where it has their text, and references to the licenses that every
 * Debian system has. A reference to a license of the GNU project stays a path if the text says no version,
 * because it does not say whether later ones apply. All other licenses are passed over.
 * @see https://www.debian.org/doc/debian-policy/ch-docs.html#copyright-information
 */
export function readCopyrightText(bytes: Uint8Array): { licenses: string[]; skips: Skips } {
  const skips = new Skips();
  if (bytes.length > MOST_BYTES) {
    skips.add('licences in a text that is too long');
    return { licenses: [], skips };
  }
  const text = new TextDecoder().decode(bytes).replace(MARGIN, '').replaceAll(/\s+/g, ' ');
  const found = new Set(gnuLicenses(text, skips));
  const families = new Set([...found].map((name) => FAMILY.exec(name)?.[0]));
  for (const [name, known] of Object.entries(KNOWN)) if (text.includes(known)) found.add(name);
  for (const { groups } of text.matchAll(REFERENCE)) {
    const name = groups?.name ?? '';
    const family = FAMILY.exec(name)?.[0];
    if (family === undefined) found.add(name);
    else if (!families.has(family)) found.add(`/usr/share/common-licenses/${name}`);
  }
  const licenses = [...found].sort();
  if (licenses.length > MOST_LICENSES) skips.add('licences of one package beyond the limit', 'too-many-licences');
  return { licenses: licenses.slice(0, MOST_LICENSES), skips };
}

/** As machine-readable files name them: `GPL-2` is that version only, `GPL-2+` also every later one. */
function* gnuLicenses(text: string, skips: Skips): Generator<string> {
  let notices = 0;
  for (const match of text.matchAll(GNU)) {
    notices += 1;
    if (notices > MOST_NOTICES) {
      skips.add('licence notices of one package beyond the limit', 'too-many-licences');
      return;
    }
    const [{ length }, { index }] = [match[0], match];
    const grant = GRANT.exec(text.slice(Math.max(0, index - 100), index));
    if (grant === null) continue;
    const tail = text.slice(index + length, index + length + 200);
    const stated = grant.groups?.version === undefined ? VERSION.exec(tail) : undefined;
    const version = grant.groups?.version ?? stated?.groups?.version;
    if (version === undefined) continue;
    const name = NAMES[(match.groups?.kind ?? '').trim().toLowerCase()] ?? '';
    const isLater = LATER.test(tail.slice(stated?.[0].length ?? 0));
    yield `${name}-${version.replace(/\.0$/, '')}${isLater ? '+' : ''}`;
  }
}
