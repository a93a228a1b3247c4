import { expect, test } from '@jest/globals';
import { assert, property, string } from 'fast-check';
import { parse } from 'yaml';
import { formatYamlEntry, formatYamlScalar } from '../../../src/oras/yaml-scalar.js';
import { propertyRuns } from '../../support/property-runs.js';

// As oras 1.3.3 prints them; test/interop/command-line.test.ts holds these against the program itself.
test.each([
  ['text', 'text'],
  ['', '""'],
  ['12', '"12"'],
  ['1.5', '"1.5"'],
  ['1e3', '"1e3"'],
  ['0x1F', '"0x1F"'],
  ['0o7', '"0o7"'],
  ['010', '"010"'],
  ['1_000', '"1_000"'],
  ['.inf', '".inf"'],
  ['true', '"true"'],
  ['null', '"null"'],
  ['~', '"~"'],
  ['2001-01-01', '"2001-01-01"'],
  ['2026-01-01T00:00:00Z', '"2026-01-01T00:00:00Z"'],
  ['yes', "'yes'"],
  ['y', "'y'"],
  ['On', "'On'"],
  ['1:30', "'1:30'"],
  ['<<', "'<<'"],
  ['=', '='],
  ['1.2.3', '1.2.3'],
  ['a: b', "'a: b'"],
  ['a:', "'a:'"],
  ['sha256:abc', 'sha256:abc'],
  ['https://x.y/z?q=1', 'https://x.y/z?q=1'],
  ['{"a":1}', `'{"a":1}'`],
  ['a #b', "'a #b'"],
  ['a#b', 'a#b'],
  ['- x', "'- x'"],
  ['-x', '-x'],
  ['?x', '?x'],
  ['? x', "'? x'"],
  ['--- a', "'--- a'"],
  ['*x', "'*x'"],
  [' x', "' x'"],
  ['x ', "'x '"],
  ["it's", "it's"],
  ["'x'", "'''x'''"],
  ['say "x"', 'say "x"'],
  ['a\\b', 'a\\b'],
  ['a, b', 'a, b'],
  ['[a]', "'[a]'"],
  ['`x`', "'`x`'"],
  ['a\tb', '"a\\tb"'],
  ['a\rb', '"a\\rb"'],
  ['a\u001b[31mb', '"a\\e[31mb"'],
  ['a\u007fb', '"a\\x7Fb"'],
  ['a\u0085b', '"a\\Nb"'],
  ['a\u00a0b', 'a\u00a0b'],
  ['héllo', 'héllo'],
  ['😀', '"\\U0001F600"'],
  ['a\nb', '|-\n    a\n    b'],
  ['a\nb\n', '|\n    a\n    b'],
])('%j is written %s', (value, written) => {
  expect(formatYamlScalar(value)).toBe(written);
});

test.each([
  ['true', 'v', '"true": v'],
  ['key: with colon', 'v', "'key: with colon': v"],
  ['[k]', '1', `'[k]': "1"`],
  ['two\nlines', 'v', '"two\\nlines": v'],
])('%j: %j is the line %s', (key, value, line) => {
  expect(formatYamlEntry(key, value)).toBe(line);
});

test('any text is parsed back unchanged, and contains no control character', () => {
  assert(
    property(string({ unit: 'binary', maxLength: 12 }), (value) => {
      const line = formatYamlEntry('key', value);
      expect(line).not.toMatch(/[^\n\P{Cc}]/u);
      expect(parse(line)).toEqual({ key: value });
    }),
    { numRuns: propertyRuns(500) },
  );
});
