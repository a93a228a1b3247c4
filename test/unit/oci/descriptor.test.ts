import { describe, expect, test } from '@jest/globals';
import {
  array,
  assert,
  constantFrom,
  dictionary,
  jsonValue,
  maxSafeNat,
  oneof,
  property,
  record,
  string,
  uint8Array,
} from 'fast-check';
import { digestOf, formatPlatform, InputError, parseDescriptor, type Descriptor } from 'acr-promoter/oci';

const name = string({ minLength: 1, maxLength: 12 });
const platform = record(
  { os: name, architecture: name, variant: name, 'os.version': name, 'os.features': array(name, { maxLength: 3 }) },
  { requiredKeys: ['os', 'architecture'] },
);
const descriptor = record(
  {
    mediaType: constantFrom('application/vnd.oci.image.manifest.v1+json', 'text/plain', 'a/b; c=d'),
    digest: uint8Array().map((bytes) => digestOf(bytes)),
    size: maxSafeNat(),
    annotations: dictionary(oneof(name, constantFrom('__proto__', 'constructor', '')), string(), {
      noNullPrototype: true,
    }),
    artifactType: name,
    platform,
    urls: array(string(), { maxLength: 3 }),
    data: string(),
  },
  { requiredKeys: ['mediaType', 'digest', 'size'] },
);

describe('parseDescriptor', () => {
  test('parses what JSON.stringify writes', () => {
    assert(
      property(descriptor, (written) => {
        const json = JSON.stringify(written);
        expect(JSON.stringify(sorted(parseDescriptor(JSON.parse(json), 'it')))).toBe(JSON.stringify(sorted(written)));
      }),
    );
  });

  test('drops unknown fields and null', () => {
    assert(
      property(descriptor, jsonValue(), (written, value) => {
        const { mediaType, digest, size } = written;
        const nothing = { annotations: null, platform: null };
        expect(parseDescriptor({ mediaType, digest, size, 'x-other': value, ...nothing }, 'it')).toEqual({
          mediaType,
          digest,
          size,
        });
      }),
    );
  });

  test('throws only DESCRIPTOR_INVALID for any input', () => {
    const nearly = record({
      mediaType: oneof(constantFrom('a/b'), jsonValue()),
      digest: oneof(
        uint8Array().map((bytes) => digestOf(bytes)),
        jsonValue(),
      ),
      size: oneof(maxSafeNat(), jsonValue()),
      annotations: jsonValue(),
      platform: jsonValue(),
      urls: jsonValue(),
    });
    assert(
      property(oneof(jsonValue(), nearly), (value) => {
        try {
          const parsed = parseDescriptor(value, 'it');
          expect(parsed.size).toBeGreaterThanOrEqual(0);
          expect(parsed.mediaType).not.toBe('');
        } catch (error) {
          expect(error).toBeInstanceOf(InputError);
          expect(error).toMatchObject({ code: 'DESCRIPTOR_INVALID' });
        }
      }),
      { numRuns: 300 },
    );
  });

  const good = { mediaType: 'a/b', digest: digestOf(new Uint8Array()), size: 0 };
  test.each([
    ['no media type', { mediaType: undefined }],
    ['an empty media type', { mediaType: '' }],
    ['no digest', { digest: undefined }],
    ['a digest of another algorithm', { digest: `sha1:${'a'.repeat(40)}` }],
    ['a negative size', { size: -1 }],
    ['half a byte', { size: 0.5 }],
    ['more bytes than can be counted', { size: 2 ** 53 }],
    ['a size in words', { size: '1' }],
    ['annotations that are numbers', { annotations: { a: 1 } }],
    ['a list of annotations', { annotations: [] }],
    ['a platform without os', { platform: { architecture: 'amd64' } }],
  ])('%s is refused', (_, change) => {
    expect(() => parseDescriptor({ ...good, ...change }, 'it')).toThrow(
      expect.objectContaining({ code: 'DESCRIPTOR_INVALID' }),
    );
  });

  test('a key such as __proto__ becomes an annotation', () => {
    const parsed = parseDescriptor({ ...good, annotations: JSON.parse('{"__proto__":"x"}') as unknown }, 'it');
    expect(JSON.stringify(parsed.annotations)).toBe('{"__proto__":"x"}');
  });
});

/** Sorted by key, so that the order does not matter. */
function sorted(value: Descriptor): [string, unknown][] {
  return Object.entries(value)
    .map(([key, field]): [string, unknown] => [
      key,
      typeof field === 'object' && !Array.isArray(field) ? Object.entries(field).sort(byKey) : field,
    ])
    .sort(byKey);
}

function byKey([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : Number(a > b);
}

test('formatPlatform writes os/architecture/variant', () => {
  expect(formatPlatform({ os: 'linux', architecture: 'arm', variant: 'v7' })).toBe('linux/arm/v7');
  expect(formatPlatform({ os: 'windows', architecture: 'amd64', 'os.version': '10' })).toBe('windows/amd64');
});
