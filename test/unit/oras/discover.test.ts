import { describe, expect, test } from '@jest/globals';
import { digestOf, type Descriptor } from 'acr-promoter/oci';
import { discoverTree, formatGoJson, formatTree, toDiscoverJson, type ReferrerTree } from 'acr-promoter/oras';
import { putImage, putReferrer, text } from '../../support/graphs.js';
import { MemoryRepository } from '../../support/memory-repository.js';

const SIGNATURE = 'application/vnd.cncf.notary.signature';

async function signedImage() {
  const repository = new MemoryRepository('localhost:5000/app');
  const image = await putImage(repository, ['a']);
  const sbom = await putReferrer(repository, image, 'sbom');
  const signature = await putReferrer(repository, sbom, 'signature', SIGNATURE);
  const other = await putReferrer(repository, image, 'other');
  return { repository, image, sbom, signature, other };
}

describe('discoverTree', () => {
  test('finds referrers and their referrers, and requests each list once', async () => {
    const { repository, image, sbom, signature, other } = await signedImage();
    const tree = await discoverTree(repository, image);
    expect(tree.referrers.map(({ descriptor }) => descriptor.digest)).toEqual([sbom.digest, other.digest]);
    expect(tree.referrers[0]?.referrers.map(({ descriptor }) => descriptor.digest)).toEqual([signature.digest]);
    expect(repository.count('listReferrers')).toBe(4);
  });

  test('shows only direct referrers at depth 1', async () => {
    const { repository, image } = await signedImage();
    const tree = await discoverTree(repository, image, { depth: 1 });
    expect(tree.referrers).toHaveLength(2);
    expect(tree.referrers[0]?.referrers).toEqual([]);
    expect(repository.count('listReferrers')).toBe(1);
  });

  test('filters every level by type', async () => {
    const { repository, image, signature, sbom } = await signedImage();
    expect((await discoverTree(repository, image, { artifactType: SIGNATURE })).referrers).toEqual([]);
    const tree = await discoverTree(repository, sbom, { artifactType: SIGNATURE });
    expect(tree.referrers.map(({ descriptor }) => descriptor.digest)).toEqual([signature.digest]);
  });

  test('refuses an endless chain', async () => {
    const repository = new MemoryRepository();
    const image = await putImage(repository, ['a']);
    let level = 0;
    repository.listReferrers = () => {
      level += 1;
      const next: Descriptor = { ...image, digest: digestOf(text(`${level}`)) };
      return Promise.resolve([next]);
    };
    await expect(discoverTree(repository, image)).rejects.toMatchObject({ code: 'GRAPH_TOO_DEEP' });
  });

  test('shows where a registry lists a circle and follows it once, with one request for each list', async () => {
    const repository = new MemoryRepository();
    const [a, b] = [await putImage(repository, ['a']), await putImage(repository, ['b'])];
    let asked = 0;
    repository.listReferrers = (digest) => {
      asked += 1;
      return Promise.resolve(digest === a.digest ? [b] : [a]);
    };
    const digestsOf = ({ descriptor, referrers }: ReferrerTree): unknown[] => [
      descriptor.digest,
      ...referrers.map(digestsOf),
    ];
    expect(digestsOf(await discoverTree(repository, a))).toEqual([a.digest, [b.digest, [a.digest]]]);
    expect(asked).toBe(2);
    expect((await discoverTree(repository, a, { depth: 1 })).referrers).toHaveLength(1);
  });

  test('shows a referrer in two places, and requests its list once', async () => {
    const { repository, image, sbom, signature, other } = await signedImage();
    const list = repository.listReferrers.bind(repository);
    let asked = 0;
    repository.listReferrers = async (digest, options) => {
      asked += 1;
      return digest === other.digest ? [sbom] : list(digest, options);
    };
    const tree = await discoverTree(repository, image);
    expect(tree.referrers[1]?.referrers[0]?.referrers.map(({ descriptor }) => descriptor.digest)).toEqual([
      signature.digest,
    ]);
    expect(asked).toBe(4);
  });

  test('refuses an endless list', async () => {
    const repository = new MemoryRepository();
    const image = await putImage(repository, ['a']);
    const many = Array.from({ length: 60_000 }, (_, index) => ({ ...image, digest: digestOf(text(`${index}`)) }));
    repository.listReferrers = () => Promise.resolve(many);
    await expect(discoverTree(repository, image)).rejects.toMatchObject({ code: 'GRAPH_TOO_WIDE' });
  });
});

describe('formats', () => {
  const at = (name: string, more: Partial<Descriptor> = {}): Descriptor => ({
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    digest: digestOf(text(name)),
    size: name.length,
    ...more,
  });
  const node = (descriptor: Descriptor, referrers: ReferrerTree[] = []): ReferrerTree => ({
    reference: `r.azurecr.io/app@${descriptor.digest}`,
    descriptor,
    referrers,
  });
  const tree: ReferrerTree = node(at('root', { annotations: { not: 'shown' } }), [
    node(
      at('sbom', {
        artifactType: 'application/spdx+json',
        annotations: { 'org.opencontainers.image.created': '2026-01-01T00:00:00Z', a: 'x' },
      }),
      [node(at('signature', { artifactType: SIGNATURE }))],
    ),
    node(at('signature of the root', { artifactType: SIGNATURE })),
    node(at('second sbom', { artifactType: 'application/spdx+json', annotations: {} })),
    node(at('nameless')),
    node(at('hostile', { artifactType: 'a\u001b[31m\nb' })),
  ]);

  test('the tree is grouped by type, with sorted annotations first', () => {
    const d = (name: string): string => digestOf(text(name));
    expect(formatTree(tree)).toBe(
      [
        `r.azurecr.io/app@${d('root')}`,
        '├── application/spdx+json',
        `│   ├── ${d('sbom')}`,
        '│   │   ├── [annotations]',
        '│   │   │   ├── a: x',
        '│   │   │   └── org.opencontainers.image.created: "2026-01-01T00:00:00Z"',
        '│   │   └── application/vnd.cncf.notary.signature',
        `│   │       └── ${d('signature')}`,
        `│   └── ${d('second sbom')}`,
        '├── application/vnd.cncf.notary.signature',
        `│   └── ${d('signature of the root')}`,
        '├── <unknown>',
        `│   └── ${d('nameless')}`,
        '└── "a\\e[31m\\nb"',
        `    └── ${d('hostile')}`,
      ].join('\n'),
    );
  });

  test('JSON has no empty fields, and [] without referrers', () => {
    const json = toDiscoverJson(tree);
    expect(Object.keys(json)).toEqual(['reference', 'mediaType', 'digest', 'size', 'annotations', 'referrers']);
    expect(json.referrers[0]).toEqual({
      reference: `r.azurecr.io/app@${digestOf(text('sbom'))}`,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest: digestOf(text('sbom')),
      size: 4,
      annotations: { a: 'x', 'org.opencontainers.image.created': '2026-01-01T00:00:00Z' },
      artifactType: 'application/spdx+json',
      referrers: [expect.objectContaining({ artifactType: SIGNATURE, referrers: [] })],
    });
    expect(Object.keys(json.referrers[2] ?? {})).not.toContain('annotations');
    expect(Object.keys(json.referrers[3] ?? {})).not.toContain('artifactType');
  });

  test('JSON is escaped as in Go', () => {
    expect(formatGoJson({ a: '<b>&\u2028' })).toBe('{"a":"\\u003cb\\u003e\\u0026\\u2028"}');
    expect(formatGoJson({ a: [1] }, 2)).toBe('{\n  "a": [\n    1\n  ]\n}');
  });
});
