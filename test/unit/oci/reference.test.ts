import { describe, expect, test } from '@jest/globals';
import {
  array,
  assert,
  constantFrom,
  integer,
  ipV6,
  oneof,
  option,
  property,
  record,
  string,
  stringMatching,
  tuple,
} from 'fast-check';
import {
  formatReference,
  InputError,
  isDigest,
  isRegistryHost,
  isRepository,
  isTag,
  parseReference,
} from 'acr-promoter/oci';
import { propertyRuns } from '../../support/property-runs.js';

const hex = (length: number) =>
  array(constantFrom(...'0123456789abcdef'.split('')), { minLength: length, maxLength: length }).map((digits) =>
    digits.join(''),
  );
const digest = oneof(
  hex(64).map((digits) => `sha256:${digits}` as const),
  hex(128).map((digits) => `sha512:${digits}` as const),
);
const label = stringMatching(/^[a-z]([a-z0-9]{0,8}[a-z0-9])?$/);
const hostName = array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'));
const octet = integer({ min: 0, max: 255 });
const host = oneof(
  hostName,
  tuple(octet, octet, octet, octet).map((octets) => octets.join('.')),
  ipV6().map((address) => `[${address}]`),
);
const port = option(integer({ min: 1, max: 65_535 }), { nil: undefined });
const registry = tuple(host, port).map(([name, number]) => (number === undefined ? name : `${name}:${number}`));
// The grammar of distribution-spec v1.1.1.
const component = stringMatching(/^[a-z0-9]{1,6}((\.|_|__|-{1,3})[a-z0-9]{1,6}){0,2}$/);
const repository = array(component, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
const tag = stringMatching(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/);
const reference = record({ registry, repository, tag, digest }, { requiredKeys: ['registry', 'repository'] });

/** No other error is thrown. */
function read(text: string): ReturnType<typeof parseReference> | undefined {
  try {
    return parseReference(text);
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    expect(error).toMatchObject({ code: 'REFERENCE_INVALID' });
    return undefined;
  }
}

describe('parseReference', () => {
  test('parses what formatReference writes', () => {
    assert(
      property(reference, (written) => {
        expect(parseReference(formatReference(written))).toEqual(written);
      }),
    );
  });

  test('throws only REFERENCE_INVALID, and formats a parsed reference to the same text', () => {
    const near = oneof(
      string({ maxLength: 80 }),
      string({ unit: 'binary', maxLength: 40 }),
      array(constantFrom('a', 'A', '0', '.', '-', '_', '/', ':', '@', '[', ']', '%', ' ', 'sha256', 'localhost'), {
        maxLength: 20,
      }).map((parts) => parts.join('')),
    );
    assert(
      property(near, (text) => {
        const found = read(text);
        if (!found) return;
        expect(formatReference(found)).toBe(text);
        expect(isRegistryHost(found.registry)).toBe(true);
        // Every accepted host can be used in a URL.
        expect(new URL(`http://${found.registry}/v2/`).pathname).toBe('/v2/');
      }),
      { numRuns: propertyRuns(500) },
    );
  });

  test('one wrong character anywhere is refused', () => {
    const wrong = constantFrom(' ', '\t', '\n', '\0', '?', '#', '%', '\\', '"', '<', '~', '+', '\u00e9', '\u{1F600}');
    assert(
      property(reference, wrong, integer({ min: 0, max: 1000 }), (written, character, place) => {
        const text = formatReference(written);
        const at = place % (text.length + 1);
        expect(read(`${text.slice(0, at)}${character}${text.slice(at)}`)).toBeUndefined();
      }),
    );
  });

  test.each([
    'a',
    '/a:b',
    'h//a:b',
    'h/',
    'h/A:b',
    'h/a___b:c',
    'h/a.-b:c',
    'h/.a',
    'h/a.',
    'h/a/',
    'h/a:',
    'h/a:.b',
    `h/a:${'x'.repeat(129)}`,
    'h/a@',
    'h/a@sha256:abc',
    `h/a@sha256:${'A'.repeat(64)}`,
    `h/a@sha1:${'a'.repeat(40)}`,
    `h/a@sha256:${'a'.repeat(65)}`,
    `h/${'a'.repeat(256)}`,
    `h/a:${'b'.repeat(2000)}`,
    'a_b/c:d',
    'user@h/a:b',
  ])('%j is refused', (text) => {
    expect(() => parseReference(text)).toThrow(expect.objectContaining({ code: 'REFERENCE_INVALID' }));
  });
});

describe('isRegistryHost', () => {
  test('accepts names, addresses and ports', () => {
    assert(property(registry, (text) => expect(isRegistryHost(text)).toBe(true)));
  });

  test.each([
    'LOCALHOST:5000',
    'r.azurecr.io',
    'a-b.c:443',
    'h:80',
    '10.0.0.1:65535',
    '[::1]:5000',
    '[0:0:0:0:0:0:0:1]',
  ])('accepts %s', (text) => expect(isRegistryHost(text)).toBe(true));

  test.each([
    'localhost:99999',
    'localhost:65536',
    'localhost:0',
    'localhost:05000',
    'localhost:',
    '1.2.3.4.5',
    '1.2.3.256',
    '0x7f.1',
    '127.1',
    'a..b',
    'a.',
    '.a',
    '-a',
    'a-',
    'a.-b',
    'a_b',
    '[.]',
    '[:]',
    '[:::::]',
    '[::]:99999',
    '[::1',
    '[fe80::1%25eth0]',
    '[1.2.3.4]',
    '',
  ])('%j is not a registry host', (text) => {
    expect(isRegistryHost(text)).toBe(false);
    expect(() => parseReference(`${text}/a:b`)).toThrow(expect.objectContaining({ code: 'REFERENCE_INVALID' }));
  });
});

test('tags, repositories and digests are recognized by their grammar', () => {
  assert(
    property(reference, (written) => {
      expect(isRepository(written.repository)).toBe(true);
      if (written.tag !== undefined) expect([isTag(written.tag), isTag(`${written.tag}:`)]).toEqual([true, false]);
      if (written.digest !== undefined) expect(isDigest(written.digest)).toBe(true);
    }),
  );
});
