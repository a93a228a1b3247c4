import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  PromoterError,
  contentKindOf,
  digestOf,
  OCI_IMAGE_INDEX,
  OCI_IMAGE_MANIFEST,
  parseManifest,
  type Descriptor,
  type Manifest,
} from '../../src/oci/index.js';
import { propertyRuns } from '../support/property-runs.js';
import { describeWithPeers } from '../support/peers.js';
import { startGoReader, type GoReader, type GoReading } from './trust/go-reader.js';

/** JSON as pairs, so that a name can stand twice in an object. */
type Json = string | number | null | Json[] | { pairs: [name: string, value: Json][] };

function write(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(write).join(',')}]`;
  if (typeof value === 'object' && value !== null)
    return `{${value.pairs.map(([name, each]) => `${name}:${write(each)}`).join(',')}}`;
  return JSON.stringify(value);
}

const chance = fc.noBias(fc.integer({ min: 0, max: 999 }));
/** Known letters that Go folds, and escapes; a name comes as it is most of the time. */
const spelt = (name: string): fc.Arbitrary<string> =>
  fc.tuple(chance, fc.nat(name.length - 1)).map(([roll, at]) => {
    const letter = name.charAt(at);
    const other: Record<string, string> = { s: '\u017F', k: '\u212A', S: '\u017F', K: '\u212A' };
    const put = (text: string): string => `"${name.slice(0, at)}${text}${name.slice(at + 1)}"`;
    if (roll < 980) return JSON.stringify(name);
    if (roll < 985) return put(letter.toUpperCase());
    if (roll < 990) return put(letter.toLowerCase());
    if (roll < 995) return put(other[letter] ?? letter);
    return put(`\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`);
  });

/** An object of these fields; some of them are left out, stand twice or are null, and others stand beside them. */
function object(fields: Record<string, fc.Arbitrary<Json>>, optional: readonly string[] = []): fc.Arbitrary<Json> {
  const pairs = Object.entries(fields).map(([name, value]) =>
    fc.tuple(chance, spelt(name), value, value).map(([roll, key, one, other]): [string, Json][] => {
      if (optional.includes(name) && roll < 500) return [];
      if (roll > 995)
        return [
          [key, one],
          [key, other],
        ];
      if (roll > 990)
        return [
          [key, one],
          [JSON.stringify(name), other],
        ];
      if (roll > 985)
        return [
          [JSON.stringify(name), one],
          [key, other],
        ];
      return [[key, roll > 980 ? null : one]];
    }),
  );
  const beside = fc.array(
    fc.tuple(
      fc.constantFrom('"x"', '"Layer"', '"ſubjectſ"', '"platform "', '"__proto__"', '""'),
      fc.constant<Json>('y'),
    ),
    { maxLength: 1 },
  );
  return fc
    .tuple(fc.tuple(...pairs), beside)
    .map(([each, more]) => ({ pairs: [...each.flat(), ...more] as [string, Json][] }));
}

const text = (...values: string[]): fc.Arbitrary<Json> => fc.constantFrom<Json>(...values);
const platform = object({ architecture: text('amd64', 'arm64'), os: text('linux'), variant: text('v7', 'v8') }, [
  'variant',
]);
const descriptor = object(
  {
    mediaType: text('application/vnd.oci.image.layer.v1.tar+gzip', OCI_IMAGE_MANIFEST, 'text/plain'),
    digest: fc.nat(9).map((seed): Json => digestOf(Buffer.from([seed]))),
    size: fc.oneof({ weight: 99, arbitrary: fc.constantFrom<Json>(0, 7, 512) }, fc.constantFrom<Json>(1.5, -1)),
    artifactType: text('a/b', 'c/d'),
    platform,
  },
  ['artifactType', 'platform'],
);
const list = fc.array(descriptor, { maxLength: 3 });
const image = object(
  {
    schemaVersion: fc.constant<Json>(2),
    mediaType: text(OCI_IMAGE_MANIFEST),
    config: descriptor,
    layers: list,
    subject: descriptor,
    artifactType: text('e/f'),
  },
  ['mediaType', 'subject', 'artifactType'],
);
const index = object(
  { schemaVersion: fc.constant<Json>(2), mediaType: text(OCI_IMAGE_INDEX), manifests: list, subject: descriptor },
  ['mediaType', 'subject'],
);
const config = object(
  {
    architecture: text('amd64'),
    os: text('linux'),
    rootfs: object({ type: text('layers'), diff_ids: fc.array(text('sha256:0', 'sha256:1'), { maxLength: 3 }) }),
  },
  ['architecture', 'os'],
);

/** What both name: descriptors by all that decides what is run. */
const shown = (each: Descriptor | undefined): unknown =>
  each && [each.mediaType, each.digest, each.size, each.artifactType ?? '', shownPlatform(each)];
const shownPlatform = ({ platform: p }: Descriptor): unknown =>
  p && [p.architecture, p.os, p.variant ?? '', p['os.version'] ?? ''];
const all = (each: Descriptor[] | undefined): unknown => (each ?? []).map(shown);

describeWithPeers('Go reads the same from what we accept', ['go'], ([go = '']) => {
  let folder: string;
  let reader: GoReader;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'acr-promoter-go-'));
    reader = await startGoReader(go, folder);
  }, 300_000);

  afterAll(async () => {
    await reader?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** True if we accept it. */
  async function compare(bytes: Uint8Array, contentType: string): Promise<boolean> {
    let ours;
    try {
      ours = parseManifest(bytes, contentType, 'it');
    } catch (error) {
      expect(error).toBeInstanceOf(PromoterError);
      return false;
    }
    const { manifest: theirs } = await reader.read(bytes);
    // What Go refuses runs nowhere.
    if (theirs === undefined) return true;
    expect(theirs.mediaType ?? ours.mediaType).toBe(ours.mediaType);
    expect(theirs.artifactType ?? '').toBe(ours.artifactType ?? '');
    expect(shown(theirs.subject)).toEqual(shown(ours.subject));
    expect(all(theirs.manifests)).toEqual(all(ours.kind === 'index' ? ours.manifests : []));
    expect(all(theirs.layers)).toEqual(all(ours.kind === 'image' ? ours.layers : []));
    expect(shown(theirs.config)).toEqual(shown(ours.kind === 'image' ? ours.config : undefined));
    return true;
  }

  test.each([
    ['images', image, OCI_IMAGE_MANIFEST],
    ['indexes', index, OCI_IMAGE_INDEX],
  ])(
    'of %s',
    async (_name, made, contentType) => {
      let accepted = 0;
      let tried = 0;
      await fc.assert(
        fc.asyncProperty(made, async (json) => {
          tried += 1;
          if (await compare(Buffer.from(write(json)), contentType)) accepted += 1;
        }),
        { numRuns: propertyRuns(9000) },
      );
      // One that refuses everything, or nothing, would prove nothing.
      expect(accepted / tried).toBeGreaterThan(0.1);
      expect(accepted / tried).toBeLessThan(0.9);
    },
    300_000,
  );

  const digest = digestOf(Buffer.from('it'));
  const one = `{"mediaType":"text/plain","digest":"${digest}","size":2}`;
  const plain = `"schemaVersion":2,"config":${one},"layers":[${one}]`;
  test.each([
    ['Layers after layers', `{${plain},"Layers":[]}`],
    ['Layers before layers', `{"Layers":[],${plain}}`],
    ['layers twice', `{${plain},"layers":[${one},${one}]}`],
    ['layers with U+017F', `{${plain},"layer\u017F":[]}`],
    ['an escaped U+017F', String.raw`{${plain},"layer\u017f":[]}`.replace('${plain}', plain)],
    ['MANIFESTS', `{${plain},"MANIFESTS":[${one}]}`],
    ['SUBJECT', `{${plain},"SUBJECT":${one}}`],
    ['MediaType', `{${plain},"MediaType":"${OCI_IMAGE_INDEX}"}`],
    [
      'Digest of a layer',
      `{"schemaVersion":2,"config":${one},"layers":[${one.replace('{', `{"Digest":"${digest}",`)}]}`,
    ],
    [
      'OS of a platform',
      `{"schemaVersion":2,"manifests":[${one.replace('}', ',"platform":{"os":"linux","OS":"windows","architecture":"amd64"}}')}]}`,
    ],
    [
      'an escaped name twice',
      String.raw`{"schemaVersion":2,"\u0063onfig":ONE,"config":ONE,"layers":[]}`.replaceAll('ONE', one),
    ],
    ['an unknown name twice', `{${plain},"x":1,"x":2}`],
    ['a name in annotations twice', `{${plain},"annotations":{"a":"1","a":"2"}}`],
  ])('%s is refused', (_name, json) => {
    expect(() => parseManifest(Buffer.from(json), '', 'it')).toThrow(
      expect.objectContaining({ code: 'MANIFEST_AMBIGUOUS' }),
    );
  });

  test('a byte order mark and bytes after the end are no JSON, as in Go', async () => {
    for (const json of [`\uFEFF{${plain}}`, `{${plain}}{}`, `{${plain}} x`]) {
      expect((await reader.read(Buffer.from(json))).manifest).toBeUndefined();
      expect(() => parseManifest(Buffer.from(json), '', 'it')).toThrow(
        expect.objectContaining({ code: 'MANIFEST_INVALID' }),
      );
    }
  });

  /** What a manifest of one tar layer is, with this config; the code, if it is refused. */
  async function kindWith(bytes: Uint8Array): Promise<string> {
    const blob = { mediaType: 'application/x', digest: digestOf(bytes), size: bytes.length };
    const layer = { mediaType: 'application/x-tar', digest, size: 2 };
    const manifest: Manifest = { kind: 'image', mediaType: OCI_IMAGE_MANIFEST, config: blob, layers: [layer] };
    const repository = {
      name: 'it',
      openBlob: () =>
        Promise.resolve(
          (async function* () {
            yield bytes;
          })(),
        ),
    };
    try {
      return await contentKindOf(repository, digestOf(bytes), manifest);
    } catch (error) {
      if (error instanceof PromoterError) return error.code;
      throw error;
    }
  }

  function expectSame(kind: string, { unmarshalled, decoded }: GoReading): void {
    // An artifact is nothing that any of them would run, and an image has as many layers for all of them.
    if (kind === 'artifact') expect([Math.max(unmarshalled, 0), Math.max(decoded, 0)]).toEqual([0, 0]);
    else if (kind === 'image' && unmarshalled >= 0) expect([unmarshalled, decoded]).toEqual([1, 1]);
  }

  test('configs are read as Go reads them', async () => {
    const seen = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(config, fc.constantFrom('', '', '', ' ', '}', '{}', '\uFEFF'), async (json, after) => {
        const bytes = Buffer.from(after === '\uFEFF' ? after + write(json) : write(json) + after);
        const kind = await kindWith(bytes);
        seen.set(kind, (seen.get(kind) ?? 0) + 1);
        expectSame(kind, await reader.read(bytes));
      }),
      { numRuns: propertyRuns(6000) },
    );
    expect([...seen.keys()].sort()).toEqual([
      'IMAGE_CONFIG_MISMATCH',
      'MANIFEST_AMBIGUOUS',
      'MANIFEST_INVALID',
      'artifact',
      'image',
    ]);
  }, 300_000);

  test.each([
    ['ROOTFS', '{"ROOTFS":{"diff_ids":["sha256:0"]}}'],
    ['rootfs with U+017F', '{"rootf\u017F":{"diff_ids":["sha256:0"]}}'],
    ['DIFF_IDS', '{"rootfs":{"DIFF_IDS":["sha256:0"]}}'],
    ['diff_ids twice', '{"rootfs":{"diff_ids":["sha256:0"],"diff_ids":[]}}'],
    ['rootfs twice, which Go merges', '{"rootfs":{"diff_ids":["sha256:0"]},"rootfs":{}}'],
  ])('a config with %s is refused', async (_name, json) => {
    expect((await reader.read(Buffer.from(json))).unmarshalled).toBeGreaterThanOrEqual(0);
    expect(await kindWith(Buffer.from(json))).toBe('MANIFEST_AMBIGUOUS');
  });

  test('a config that is not UTF-8 is read as Go reads it', async () => {
    const bytes = Buffer.from('{"author":"\xff","rootfs":{"diff_ids":["sha256:0"]}}', 'latin1');
    expectSame(await kindWith(bytes), await reader.read(bytes));
    expect(await kindWith(bytes)).toBe('image');
  });
});
