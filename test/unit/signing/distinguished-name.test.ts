import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { formatName, matchesIdentity, parseTrustedIdentity } from '../../../src/signing/distinguished-name.js';

describe('formatName', () => {
  test.each([
    ['a b', 'a b'],
    [' ', String.raw`\ `],
    ['  ', String.raw`\ \ `],
    ['#a#', String.raw`\#a#`],
    ['a,b+c"d\\e<f>g;h=i', String.raw`a\,b\+c\"d\\e\<f\>g\;h\=i`],
    ['a\0', String.raw`a\00`],
  ])('%j is written as %s', (value, written) => {
    expect(formatName([{ type: 'CN', value }])).toBe(`CN=${written}`);
  });
});

describe('parseTrustedIdentity', () => {
  test.each<[string, [string, string][]]>([
    ['*', []],
    [
      'x509.subject: C=US, ST=WA, O=Example',
      [
        ['C', 'US'],
        ['ST', 'WA'],
        ['O', 'Example'],
      ],
    ],
    [
      'x509.subject:c=US,S=WA',
      [
        ['C', 'US'],
        ['ST', 'WA'],
      ],
    ],
    ['x509.subject: 2.5.4.3=x', [['CN', 'x']]],
    ['x509.subject: 1.2.840.113549.1.9.1=a@b.c', [['1.2.840.113549.1.9.1', 'a@b.c']]],
    [
      String.raw`x509.subject: O=Example\, Inc., CN=a\=b`,
      [
        ['O', 'Example, Inc.'],
        ['CN', 'a=b'],
      ],
    ],
    [
      String.raw`x509.subject: O=Ex\C3\A4mple , CN=\ x\ `,
      [
        ['O', 'Exämple'],
        ['CN', ' x '],
      ],
    ],
    ['x509.subject: CN=a=b c', [['CN', 'a=b c']]],
  ])('%s is read', (text, attributes) => {
    expect([...parseTrustedIdentity(text)]).toEqual(attributes);
  });

  test.each([
    '',
    'CN=x',
    'x509.subject:',
    'x509.subject: CN',
    'x509.subject: CN=',
    'x509.subject: CN=  ',
    'x509.subject: =x',
    'x509.subject: NAME=x',
    'x509.subject: CN=x,CN=y',
    'x509.subject: ST=x,S=y',
    'x509.subject: CN=x,',
    'x509.subject: CN=x+O=y',
    'x509.subject: CN=#0401',
    'x509.subject: CN="x"',
    String.raw`x509.subject: CN=x\q`,
    String.raw`x509.subject: CN=\FF`,
    `x509.subject: CN=${'x'.repeat(5000)}`,
  ])('refuses %j', (text) => {
    expect(() => parseTrustedIdentity(text)).toThrow(expect.objectContaining({ code: 'TRUST_IDENTITY_INVALID' }));
  });

  test('a formatted subject is an identity that matches only that subject', () => {
    const value = fc.oneof(
      fc.string({ minLength: 1, maxLength: 20 }),
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
    );
    const subject = fc
      .uniqueArray(fc.constantFrom('C', 'ST', 'O', 'OU', 'CN', 'L', '1.2.3.4'), { minLength: 1 })
      .chain((types) => fc.tuple(...types.map((type) => value.map((text) => ({ type, value: text })))));
    fc.assert(
      fc.property(subject, value, (attributes, other) => {
        const identity = parseTrustedIdentity(`x509.subject: ${formatName(attributes)}`);
        expect(matchesIdentity(attributes, identity)).toBe(true);
        const [first, ...rest] = attributes;
        if (first !== undefined && first.value !== other) {
          expect(matchesIdentity([{ ...first, value: other }, ...rest], identity)).toBe(false);
        }
        expect(matchesIdentity(rest, identity)).toBe(false);
      }),
    );
  });
});
