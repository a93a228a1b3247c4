import { describe, expect, test } from '@jest/globals';
import {
  array,
  assert,
  constantFrom,
  jsonValue,
  oneof,
  option,
  property,
  record,
  string,
  uint8Array,
} from 'fast-check';
import {
  artifactTypeOf,
  bareMediaType,
  childrenOf,
  digestOf,
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  DOCKER_MANIFEST_V1,
  DOCKER_MANIFEST_V1_SIGNED,
  encodeManifest,
  InputError,
  isIndexMediaType,
  isManifestMediaType,
  OCI_ARTIFACT_MANIFEST,
  OCI_IMAGE_INDEX,
  OCI_IMAGE_MANIFEST,
  parseManifest,
} from 'acr-promoter/oci';
import { MOST_MANIFEST_ENTRIES } from '../../../src/oci/manifest.js';
import { MOST_OBJECT_NAMES } from '../../../src/oci/strict-json.js';

const TYPES = [OCI_IMAGE_MANIFEST, OCI_IMAGE_INDEX, DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, OCI_ARTIFACT_MANIFEST];
const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const descriptor = record({
  mediaType: constantFrom('text/plain', OCI_IMAGE_MANIFEST),
  digest: uint8Array().map((bytes) => digestOf(bytes)),
  size: constantFrom(0, 1, 1000),
});
const list = array(descriptor, { maxLength: 3 });
const common = {
  artifactType: option(constantFrom('a/b', 'application/spdx+json'), { nil: undefined }),
  subject: option(descriptor, { nil: undefined }),
};
const image = record({
  mediaType: constantFrom(OCI_IMAGE_MANIFEST, DOCKER_MANIFEST),
  config: descriptor,
  layers: list,
  ...common,
});
const index = record({ mediaType: constantFrom(OCI_IMAGE_INDEX, DOCKER_MANIFEST_LIST), manifests: list, ...common });
const artifact = record({ mediaType: constantFrom(OCI_ARTIFACT_MANIFEST), blobs: list, ...common });

const codeOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    return (error as InputError).code;
  }
  return '';
};

describe('parseManifest', () => {
  test('parses a manifest with and without its media type', () => {
    assert(
      property(oneof(image, index, artifact), constantFrom(true, false), (written, named) => {
        const { mediaType, ...rest } = written;
        const bytes = encodeManifest({ schemaVersion: 2, ...(named && { mediaType }), ...rest });
        const read = parseManifest(bytes, named ? '' : `${mediaType.toUpperCase()}; charset=utf-8`, 'it');
        const kind = 'config' in written ? 'image' : 'manifests' in written ? 'index' : 'artifact';
        expect(read).toMatchObject(JSON.parse(JSON.stringify({ kind, mediaType, ...rest })) as object);
        expect(childrenOf(read)).toHaveLength(
          'config' in written
            ? written.layers.length + 1
            : 'manifests' in written
              ? written.manifests.length
              : written.blobs.length,
        );
        const shown = written.artifactType ?? ('config' in written ? written.config.mediaType : undefined);
        expect(artifactTypeOf(read)).toBe(shown);
      }),
    );
  });

  test('throws only our error codes for any bytes', () => {
    const nearly = record(
      {
        schemaVersion: constantFrom(1, 2, '2'),
        mediaType: oneof(constantFrom(...TYPES), jsonValue()),
        config: oneof(descriptor, jsonValue()),
        layers: oneof(list, jsonValue()),
        manifests: oneof(list, jsonValue()),
        blobs: oneof(list, jsonValue()),
        subject: oneof(descriptor, jsonValue()),
        annotations: jsonValue(),
      },
      { requiredKeys: [] },
    );
    const known = ['', 'MANIFEST_INVALID', 'DESCRIPTOR_INVALID', 'SCHEMA1_UNSUPPORTED'];
    assert(
      property(oneof(nearly, jsonValue()).map(encode), constantFrom(...TYPES, '', 'text/html'), (bytes, type) => {
        expect(known).toContain(codeOf(() => parseManifest(bytes, type, 'it')));
      }),
      { numRuns: 500 },
    );
    assert(
      property(uint8Array({ maxLength: 60 }), (bytes) => {
        expect(known.slice(1)).toContain(codeOf(() => parseManifest(bytes, OCI_IMAGE_MANIFEST, 'it')));
      }),
    );
  });

  const blob = { mediaType: 'text/plain', digest: digestOf(new Uint8Array()), size: 0 };
  test.each([
    ['no JSON', '{', OCI_IMAGE_MANIFEST],
    ['no object', '[]', OCI_IMAGE_MANIFEST],
    ['not UTF-8', '\u00ff', OCI_IMAGE_MANIFEST],
    ['of no kind', '{"schemaVersion":2}', 'application/vnd.weird+json'],
    [
      'called otherwise than it calls itself',
      JSON.stringify({ mediaType: OCI_IMAGE_INDEX, manifests: [] }),
      OCI_IMAGE_MANIFEST,
    ],
    ['with too many entries', JSON.stringify({ manifests: Array(MOST_MANIFEST_ENTRIES + 1).fill(0) }), OCI_IMAGE_INDEX],
    ['an image and an index', JSON.stringify({ config: blob, layers: [], manifests: [] }), OCI_IMAGE_MANIFEST],
    ['an index with layers', JSON.stringify({ layers: [blob], manifests: [] }), OCI_IMAGE_INDEX],
    ['with an object for a list', JSON.stringify({ config: blob, layers: {} }), OCI_IMAGE_MANIFEST],
  ])('a manifest that is %s is MANIFEST_INVALID', (_, text, type) => {
    expect(codeOf(() => parseManifest(Buffer.from(text, 'latin1'), type, 'it'))).toBe('MANIFEST_INVALID');
  });

  test.each([DOCKER_MANIFEST_V1, DOCKER_MANIFEST_V1_SIGNED, OCI_IMAGE_MANIFEST])(
    'schema 1 as %s is refused with its own code',
    (type) => {
      const bytes = encode({ schemaVersion: 1, name: 'a', tag: 'b', fsLayers: [], history: [] });
      expect(codeOf(() => parseManifest(bytes, type, 'it'))).toBe('SCHEMA1_UNSUPPORTED');
    },
  );
});

describe('media types', () => {
  test('bareMediaType removes parameters from a Content-Type', () => {
    assert(
      property(constantFrom(...TYPES), string({ maxLength: 20 }), (type, parameter) => {
        expect(bareMediaType(` ${type.toUpperCase()} ;${parameter}`)).toBe(type);
        expect(bareMediaType(bareMediaType(parameter))).toBe(bareMediaType(parameter));
      }),
    );
  });

  test('only known media types are manifests, and two of them are indexes', () => {
    expect(TYPES.filter(isIndexMediaType)).toEqual([OCI_IMAGE_INDEX, DOCKER_MANIFEST_LIST]);
    expect(TYPES.every(isManifestMediaType)).toBe(true);
    assert(
      property(constantFrom(...TYPES), string({ minLength: 1, maxLength: 3 }), (type, more) => {
        expect([isManifestMediaType(type + more), isManifestMediaType(more + type)]).toEqual([false, false]);
      }),
    );
  });
});

/** test/interop/go-reading.test.ts compares with Go itself. */
describe('a manifest that Go reads differently', () => {
  const one = `{"mediaType":"text/plain","digest":"${digestOf(new Uint8Array())}","size":0}`;
  const image = (more: string): Uint8Array =>
    Buffer.from(`{"schemaVersion":2,"config":${one},"layers":[${one}]${more}}`);

  test.each([
    ['a name twice', ',"layers":[]'],
    ['a name twice at whatever depth', ',"x":[{"y":{"a":1,"\\u0061":2}}]'],
    ['other case', ',"Layers":[]'],
    ['U+017F', ',"layer\u017F":[]'],
    ['in a descriptor', `,"subject":${one.replace('{', '{"SIZE":1,')}`],
    ['in a platform', `,"subject":${one.replace('}', ',"platform":{"os":"a","architecture":"b","O\u017F":"c"}}')}`],
  ])('is refused: %s', (_name, more) => {
    expect(() => parseManifest(image(more), OCI_IMAGE_MANIFEST, 'it')).toThrow(
      expect.objectContaining({ code: 'MANIFEST_AMBIGUOUS' }),
    );
    // A registry stores it anyway.
    expect(parseManifest(image(more), OCI_IMAGE_MANIFEST, 'it', { lenient: true }).kind).toBe('image');
  });

  test('similar names and names in annotations are accepted', () => {
    const more = ',"Layer":1,"layers ":2,"annotations":{"Layers":"","layers":"","os":"","OS":""}';
    expect(parseManifest(image(more), OCI_IMAGE_MANIFEST, 'it').kind).toBe('image');
  });

  test('an object with too many names is refused, because reading it would block the process', () => {
    const names = (count: number): string => Array.from({ length: count }, (_, index) => `"n${index}":""`).join(',');
    const most = names(MOST_OBJECT_NAMES);
    expect(parseManifest(image(`,"annotations":{${most}}`), OCI_IMAGE_MANIFEST, 'it').kind).toBe('image');
    for (const more of [`,"annotations":{${most},"one":""}`, `,"x":[{${most},"one":""}]`, `,${most}`]) {
      expect(() => parseManifest(image(more), OCI_IMAGE_MANIFEST, 'it')).toThrow(
        expect.objectContaining({ code: 'MANIFEST_INVALID' }),
      );
    }
  });

  test('a repeated name is found in the longest allowed text, in linear time', () => {
    for (const [open, close] of [
      ['[', ']'],
      ['{"a":', '}'],
      ['"\\\\', '"'],
    ] as const) {
      const inner = open.repeat(open.startsWith('"') ? 1 : 100_000);
      const text = open.startsWith('"') ? `"${'\\\\'.repeat(2 ** 20)}"` : `${inner}1${close.repeat(100_000)}`;
      expect(parseManifest(image(`,"x":${text}`), OCI_IMAGE_MANIFEST, 'it').kind).toBe('image');
    }
  });
});

test.each([
  ['an index', OCI_IMAGE_INDEX, { manifests: [], layers: [] }],
  ['an index without manifests', OCI_IMAGE_INDEX, { config: {}, layers: [] }],
  ['an image', OCI_IMAGE_MANIFEST, { config: {}, manifests: [] }],
  ['an image with blobs', OCI_IMAGE_MANIFEST, { config: {}, layers: [], blobs: [] }],
  ['an artifact', OCI_ARTIFACT_MANIFEST, { blobs: [], config: {}, layers: [] }],
  ['an image with the layers of schema 1', DOCKER_MANIFEST, { config: {}, layers: [], fsLayers: [] }],
])('%s with the fields of another kind is refused, whatever its media type', (_name, type, fields) => {
  for (const mediaType of [type, undefined]) {
    const bytes = encode({ schemaVersion: 2, mediaType, ...fields });
    expect(() => parseManifest(bytes, type, 'it')).toThrow(expect.objectContaining({ code: 'MANIFEST_INVALID' }));
  }
});
