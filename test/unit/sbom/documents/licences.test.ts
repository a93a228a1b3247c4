import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import parseSpdx from 'spdx-expression-parse';
import { allOf, Licences, toSpdx } from '../../../../src/sbom/documents/licences.js';
import { propertyRuns } from '../../../support/property-runs.js';

describe('a declared licence that names a licence of the SPDX list becomes its id', () => {
  test.each([
    ['MIT', 'MIT'],
    ['apache-2.0', 'Apache-2.0'],
    ['The Apache Software License, Version 2.0', 'Apache-2.0'],
    ['ASL 2.0', 'Apache-2.0'],
    ['Expat', 'MIT'],
    ['BSD-3-clause', 'BSD-3-Clause'],
    ['Mozilla Public License 2.0 (MPL 2.0)', 'MPL-2.0'],
    ['Eclipse Public License 2.0', 'EPL-2.0'],
    ['GPL-2', 'GPL-2.0-only'],
    ['GPL-2+', 'GPL-2.0-or-later'],
    ['GPLv2+', 'GPL-2.0-or-later'],
    ['LGPL-2.1+', 'LGPL-2.1-or-later'],
    ['GNU General Public License v3 or later (GPLv3+)', 'GPL-3.0-or-later'],
    ['GNU Lesser General Public License v2.1', 'LGPL-2.1-only'],
  ])('%s becomes %s', (declared, id) => {
    expect(toSpdx(declared)).toMatchObject({ expression: id, isId: true });
  });
});

describe('an expression is read with the operators of any package manager', () => {
  test.each([
    ['(MIT OR Apache-2.0)', '(MIT OR Apache-2.0)'],
    ['Apache-2.0 and MIT', 'Apache-2.0 AND MIT'],
    ['GPL-2.0-or-later WITH GCC-exception-3.1', 'GPL-2.0-or-later WITH GCC-exception-3.1'],
    ['Apache-2.0+', 'Apache-2.0+'],
    ['LicenseRef-Foo AND MIT', 'LicenseRef-Foo AND MIT'],
  ])('%s becomes %s', (declared, expression) => {
    expect(toSpdx(declared)).toMatchObject({ expression, isId: false });
  });

  test('a name in it that SPDX does not list keeps its text', () => {
    const read = toSpdx('LGPLv2+ and (MIT or Public Domain)');
    expect(read?.expression).toMatch(/^LGPL-2\.0-or-later AND \(MIT OR LicenseRef-Public-Domain-[0-9a-f]{8}\)$/);
    expect([...(read?.refs.values() ?? [])]).toEqual(['Public Domain']);
  });
});

describe('nothing is guessed: any other text is kept as it is', () => {
  test.each([
    'GPL',
    'BSD',
    'Apache',
    'UNLICENSED',
    'SEE LICENSE IN file',
    'GPL-3+ with autoconf',
    'MIT AND',
    'constructor',
    '__proto__',
    `${'('.repeat(400)}MIT${')'.repeat(400)}`,
    'x'.repeat(1000),
  ])('%.30s', (text) => {
    const read = toSpdx(text);
    expect(read?.expression).toMatch(/^LicenseRef-[\w.-]+$/);
    expect([...(read?.refs.values() ?? [])]).toEqual([text]);
  });

  test.each(['', '  ', 'NOASSERTION', 'NONE'])('%j declares nothing', (text) => {
    expect(toSpdx(text)).toBeUndefined();
  });
});

test('of several licences all apply; the same one counts once', () => {
  const licences = new Licences().read(['MIT', 'MIT License', 'Apache-2.0 or ISC']);
  expect(allOf(licences)).toBe('MIT AND (Apache-2.0 OR ISC)');
});

test('any texts give one valid expression that always is the same', () => {
  const word = fc.constantFrom(
    'MIT',
    'GPLv2+',
    'and',
    'OR',
    'with',
    '(',
    ')',
    'Public Domain',
    '+',
    'LicenseRef-a',
    'ü',
  );
  const text = fc.oneof(
    fc.string(),
    fc.array(word, { maxLength: 9 }).map((words) => words.join(' ')),
  );
  fc.assert(
    fc.property(fc.array(text, { maxLength: 4 }), (texts) => {
      const licences = new Licences().read(texts);
      fc.pre(licences.length > 0);
      const expression = allOf(licences);
      expect(() => parseSpdx(expression)).not.toThrow();
      expect(allOf(new Licences().read(texts))).toBe(expression);
    }),
    { numRuns: propertyRuns(1500) },
  );
});
