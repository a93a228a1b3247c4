import { describe, expect, test } from '@jest/globals';
import { assert, json, property } from 'fast-check';
import { digestOf, type Descriptor } from 'acr-promoter/oci';
import {
  formatDescriptor,
  formatManifestJson,
  formatTable,
  indentJson,
  listTags,
  toManifestsJson,
} from 'acr-promoter/oras';
import { putImage, text } from '../../support/graphs.js';
import { MemoryRepository } from '../../support/memory-repository.js';

const DESCRIPTOR: Descriptor = { mediaType: 'a/b', digest: digestOf(text('x')), size: 1 };

test('a descriptor is printed with three fields, and with the fields of its index entry', () => {
  expect(formatDescriptor(DESCRIPTOR)).toBe(`{"mediaType":"a/b","digest":"${DESCRIPTOR.digest}","size":1}`);
  const platform = { architecture: 'amd64', os: 'linux' };
  expect(formatDescriptor({ ...DESCRIPTOR, artifactType: 'c/d', platform, annotations: { k: 'v' } })).toBe(
    `{"mediaType":"a/b","digest":"${DESCRIPTOR.digest}","size":1,"annotations":{"k":"v"},"platform":{"architecture":"amd64","os":"linux"},"artifactType":"c/d"}`,
  );
});

test('a manifest as JSON has its keys in order', () => {
  const shown = formatManifestJson('r/a@x', DESCRIPTOR, text('{"b":[{"d":1,"c":"<"}],"a":null}'));
  expect(Object.keys(JSON.parse(shown) as object)).toEqual(['reference', 'mediaType', 'digest', 'size', 'content']);
  expect(shown).toContain('"content": {\n    "a": null,\n    "b": [\n      {\n        "c": "\\u003c",\n        "d": 1');
});

describe('indentJson', () => {
  test('keeps the order, escapes and numbers', () => {
    expect(indentJson('{"b":1.0,"a":"\\u003c {,} \\"","c":[],"d":{},"e":[1,{"f":null}]}')).toBe(
      '{\n  "b": 1.0,\n  "a": "\\u003c {,} \\"",\n  "c": [],\n  "d": {},\n  "e": [\n    1,\n    {\n      "f": null\n    }\n  ]\n}',
    );
  });

  test('gives the layout of JSON.stringify for all its output', () => {
    assert(
      property(json(), (text) => {
        const value: unknown = JSON.parse(text);
        expect(indentJson(JSON.stringify(value))).toBe(JSON.stringify(value, undefined, 2));
      }),
    );
  });
});

describe('the older forms of discover', () => {
  const tree = {
    reference: 'r/a@1',
    descriptor: DESCRIPTOR,
    referrers: [
      { reference: 'r/a@2', descriptor: { ...DESCRIPTOR, artifactType: 'long/artifact-type' }, referrers: [] },
      { reference: 'r/a@3', descriptor: { mediaType: 'a/b', digest: DESCRIPTOR.digest, size: 2 }, referrers: [] },
    ],
  };

  test('manifests', () => {
    expect(toManifestsJson(tree).manifests.map(({ digest, artifactType }) => [digest, artifactType])).toEqual([
      [DESCRIPTOR.digest, 'long/artifact-type'],
      [DESCRIPTOR.digest, undefined],
    ]);
  });

  test('table', () => {
    const lines = formatTable(tree, 'r/a:v1').split('\n');
    expect(lines.slice(0, 5)).toEqual([
      'Discovered 2 artifacts referencing r/a:v1',
      `Digest: ${DESCRIPTOR.digest}`,
      '',
      'Artifact Type        Digest',
      `long/artifact-type   ${DESCRIPTOR.digest}`,
    ]);
    expect(formatTable({ ...tree, referrers: [] }, 'r/a:v1').split('\n')).toHaveLength(2);
  });
});

describe('listTags', () => {
  async function tagged() {
    const repository = new MemoryRepository();
    const first = await putImage(repository, ['a'], 'v1');
    const bytes = repository.manifests.get(first.digest)?.bytes ?? text('');
    const hex = first.digest.slice('sha256:'.length);
    for (const tag of ['v2', `sha256-${hex}`, `sha256-${hex}.sig`, 'sha256-short']) {
      await repository.pushManifest(bytes, first.mediaType, { tag });
    }
    await putImage(repository, ['b'], 'v3');
    return { repository, first, hex };
  }

  test('lists tags after a given one, without digest tags, and by digest', async () => {
    const { repository, first, hex } = await tagged();
    const all = [`sha256-${hex}`, `sha256-${hex}.sig`, 'sha256-short', 'v1', 'v2', 'v3'].sort();
    expect(await listTags(repository)).toEqual(all);
    expect(await listTags(repository, { last: 'v1' })).toEqual(['v2', 'v3']);
    expect(await listTags(repository, { excludeDigestTags: true })).toEqual(['sha256-short', 'v1', 'v2', 'v3']);
    const digest = first.digest;
    expect(await listTags(repository, { digest, last: 'sha256-z' })).toEqual(['v1', 'v2']);
  });
});
