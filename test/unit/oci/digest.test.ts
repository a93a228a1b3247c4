import { describe, expect, test } from '@jest/globals';
import { array, assert, constantFrom, integer, property, string, uint8Array } from 'fast-check';
import { createDigester, digestAlgorithm, digestOf, InputError, isDigest, parseDigest } from 'acr-promoter/oci';

const algorithm = constantFrom('sha256' as const, 'sha512' as const);

test('a computed digest is valid, parses to itself and does not depend on the chunks', () => {
  assert(
    property(algorithm, array(uint8Array({ maxLength: 50 }), { maxLength: 5 }), (name, chunks) => {
      const digester = createDigester(name);
      for (const chunk of chunks) digester.update(chunk);
      const digest = digester.digest();
      expect(digest).toBe(digestOf(Buffer.concat(chunks), name));
      expect(parseDigest(digest)).toBe(digest);
      expect(digestAlgorithm(digest)).toBe(name);
      expect(digest).toMatch(name === 'sha256' ? /^sha256:[0-9a-f]{64}$/ : /^sha512:[0-9a-f]{128}$/);
    }),
  );
});

test('the digests of empty content have their known values', () => {
  const none = new Uint8Array();
  expect(digestOf(none)).toBe('sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  expect(digestOf(none, 'sha512').slice(0, 23)).toBe('sha512:cf83e1357eefb8bd');
});

describe('invalid digests', () => {
  const refused = (text: string): void => {
    expect(isDigest(text)).toBe(false);
    expect(() => parseDigest(text)).toThrow(InputError);
    expect(() => parseDigest(text)).toThrow(expect.objectContaining({ code: 'DIGEST_INVALID' }));
  };

  test('one digit too many, too few or wrong is refused', () => {
    assert(
      property(
        algorithm,
        uint8Array(),
        integer({ min: 0, max: 127 }),
        constantFrom('', 'g', 'G', 'A', ' ', ':', '\n', 'aa', 'é'),
        (name, bytes, place, written) => {
          const digest = digestOf(bytes, name);
          const at = 7 + (place % (digest.length - 7));
          refused(digest.slice(0, at) + written + digest.slice(at + 1));
        },
      ),
    );
  });

  test('any other text is refused, whatever its length', () => {
    assert(property(string({ unit: 'binary', maxLength: 200 }), refused));
    refused('a'.repeat(100_000));
  });

  test('another algorithm or a name in capitals is refused', () => {
    const hex = digestOf(new Uint8Array()).slice(7);
    for (const name of ['sha1', 'sha384', 'SHA256', 'sha512', 'md5', '', 'sha256+b64']) refused(`${name}:${hex}`);
  });
});
