import { describe, expect, test } from '@jest/globals';
import { array, assert, asyncProperty, integer, nat, property, record } from 'fast-check';
import {
  copyGraph,
  planGraph,
  splitPlan,
  type CopyPart,
  type CopyPlan,
  type Descriptor,
  type Digest,
  type PlannedManifest,
} from 'acr-promoter/oci';
import { MemoryRepository } from '../memory-repository.js';
import { putImage, putIndex, putRealGraph, putReferrer } from './graphs.js';
import { propertyRuns } from '../../property-runs.js';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

const digest = (name: string): Digest => `sha256:${Buffer.from(name).toString('hex').padEnd(64, '0')}` as Digest;
const blob = (name: string, size: number): Descriptor => ({ mediaType: 'x/layer', digest: digest(name), size });

function manifest(name: string, blobs: Descriptor[], more: Partial<PlannedManifest> = {}): PlannedManifest {
  return { descriptor: { mediaType: 'x/manifest', digest: digest(name), size: 500 }, blobs, ...more };
}

function planOf(manifests: PlannedManifest[]): CopyPlan {
  const blobs = new Map(manifests.flatMap((each) => each.blobs).map((each) => [each.digest, each]));
  const sizes = [...blobs.values(), ...manifests.map(({ descriptor }) => descriptor)].map(({ size }) => size);
  const root = manifests[0]?.descriptor ?? blob('none', 0);
  return {
    version: 1,
    source: 'source/app',
    root,
    manifests,
    leftOut: [],
    blobCount: blobs.size,
    sizeBytes: sizes.reduce((a, b) => a + b, 0),
  };
}

/** What a part moves: `m1` for a manifest, `+b1` for a blob that comes with it or by itself, `!b1` for one moved by stretches. */
function namesOf(part: CopyPart): string[] {
  const nameOf = (of: Descriptor): string =>
    Buffer.from(of.digest.slice('sha256:'.length), 'hex').toString().replaceAll('\0', '');
  if (part.kind === 'blob') return [`!${nameOf(part.blob)}`];
  const { manifests, blobs = [] } = part.plan;
  return [
    ...manifests.map(({ descriptor }) => nameOf(descriptor)),
    ...new Set([...manifests.flatMap((each) => each.blobs), ...blobs].map((each) => `+${nameOf(each)}`)),
  ];
}
const split = (
  manifests: PlannedManifest[],
  ...limits: Parameters<typeof splitPlan> extends [unknown, ...infer R] ? R : never
) => splitPlan(planOf(manifests), ...limits).map((wave) => wave.map((part) => namesOf(part).join(' ')));

describe('splitPlan', () => {
  test('a usual graph is one part: the plan as it is', () => {
    const plan = planOf([manifest('m', [blob('a', GIB), blob('b', 2 * GIB)]), manifest('sig', [blob('s', 10)])]);
    const [[part, ...parts] = [], ...waves] = splitPlan(plan);
    expect(part).toEqual({ kind: 'graph', plan });
    expect([parts, waves]).toEqual([[], []]);
  });

  test('many referrers: their subject first, then parts of bounded count', () => {
    const referrers = Array.from({ length: 25 }, (_, index) =>
      manifest(`r${index}`, [blob(`b${index}`, 10), blob('empty', 2)], { subject: digest('m') }),
    );
    const waves = split([manifest('m', [blob('layer', 100)]), ...referrers], { nodes: 21 });
    // Ten manifests, their ten blobs, and the empty config that each part has for itself.
    expect(waves.map((wave) => wave.map((part) => part.split(' ').length))).toEqual([[2], [21, 21, 11]]);
    expect(waves[0]).toEqual(['m +layer']);
  });

  test('more than one part has bytes for: blobs first, then what needs them', () => {
    const blobs = [blob('a', 3 * GIB), blob('b', 3 * GIB), blob('c', GIB)];
    expect(split([manifest('m', blobs)])).toEqual([['+a', '+b +c'], ['m']]);
  });

  test('a blob that no part has room for is moved by itself', () => {
    expect(split([manifest('m', [blob('huge', 50 * GIB), blob('config', 100)])])).toEqual([
      ['!huge', '+config'],
      ['m'],
    ]);
  });

  test('what can be mounted costs no bytes; but a huge one is apart all the same, should it not be mounted', () => {
    const large = [blob('a', 3 * GIB), blob('b', 3 * GIB), blob('c', 4 * GIB)];
    expect(split([manifest('m', large)], { mounts: true })).toEqual([['m +a +b +c']]);
    expect(split([manifest('m', [blob('huge', 5 * GIB), ...large])], { mounts: true })).toEqual([
      ['!huge', '+a +b +c'],
      ['m'],
    ]);
  });

  test('a large blob that several need is moved once, before them', () => {
    const images = ['x', 'y', 'z'].map((name) => manifest(name, [blob('base', GIB), blob(`own-${name}`, 2 * GIB)]));
    expect(split(images, { bytes: 3.5 * GIB })).toEqual([['+base'], ['x +own-x', 'y +own-y', 'z +own-z']]);
  });

  test('children before their index, the index before its referrers; small levels together', () => {
    const children = Array.from({ length: 6 }, (_, index) => manifest(`c${index}`, [blob(`l${index}`, 10)]));
    const index = manifest('index', [], { children: children.map(({ descriptor }) => descriptor.digest) });
    const signature = manifest('sig', [blob('s', 10)], { subject: digest('index') });
    const report = manifest('rep', [blob('r', 10)], { subject: digest('sig') });
    expect(split([...children, index, signature, report], { nodes: 6 })).toEqual([
      ['c0 c1 c2 +l0 +l1 +l2', 'c3 c4 c5 +l3 +l4 +l5'],
      ['index sig rep +s +r'],
    ]);
  });

  test('more parts than anybody plans for are refused', () => {
    const blobs = Array.from({ length: 1100 }, (_, index) => blob(`b${index}`, 3 * GIB));
    expect(() => split([manifest('m', blobs)])).toThrow(expect.objectContaining({ code: 'COPY_TOO_LARGE' }));
  });

  test('whatever the plan: each manifest once, after what it needs; each blob before; no part over its bounds', () => {
    const node = record({
      blobs: array(record({ name: nat(20), size: integer({ min: 0, max: 12 }) }), { maxLength: 5 }),
      needs: array(nat(100), { maxLength: 3 }),
      refers: nat(100),
    });
    assert(
      property(array(node, { minLength: 1, maxLength: 30 }), integer({ min: 2, max: 8 }), (nodes, most) => {
        const sizes = new Map(nodes.flatMap(({ blobs }) => blobs).map(({ name, size }) => [name, size * MIB]));
        const manifests = nodes.map(({ blobs, needs, refers }, at) =>
          manifest(
            `m${at}`,
            blobs.map(({ name }) => blob(`b${name}`, sizes.get(name) ?? 0)),
            {
              ...(at > 0 && { children: needs.map((which) => digest(`m${which % at}`)) }),
              ...(at > 0 && refers % 2 === 0 && { subject: digest(`m${refers % at}`) }),
            },
          ),
        );
        const limits = { bytes: 10 * MIB, nodes: most };
        const there = new Set<Digest>();
        const waves = splitPlan(planOf(manifests), limits);
        for (const wave of waves) {
          const before = new Set(there);
          for (const part of wave) {
            if (part.kind === 'blob') {
              expect(part.blob.size).toBeGreaterThan(limits.bytes);
              there.add(part.blob.digest);
              continue;
            }
            const { plan } = part;
            const inPart = new Set(before);
            for (const each of [...(plan.blobs ?? []), ...plan.manifests.flatMap(({ blobs }) => blobs)])
              inPart.add(each.digest);
            expect(plan.manifests.length + plan.blobCount).toBeLessThanOrEqual(most);
            expect(plan.sizeBytes).toBeLessThanOrEqual(limits.bytes);
            for (const { descriptor, children = [], subject } of plan.manifests) {
              expect(there.has(descriptor.digest)).toBe(false);
              for (const needed of [...children, ...(subject === undefined ? [] : [subject])])
                expect(inPart.has(needed)).toBe(true);
              const whole = manifests.find((each) => each.descriptor.digest === descriptor.digest);
              for (const each of whole?.blobs ?? []) expect(inPart.has(each.digest)).toBe(true);
              inPart.add(descriptor.digest);
            }
            for (const each of inPart) there.add(each);
          }
        }
        for (const { descriptor } of manifests) expect(there.has(descriptor.digest)).toBe(true);
      }),
      { numRuns: propertyRuns(300) },
    );
  });
});

describe('the parts of a real graph', () => {
  test('done wave by wave, in any order, they make the destination what the whole plan does', async () => {
    await assert(
      asyncProperty(integer({ min: 2, max: 9 }), nat(), async (nodes, seed) => {
        const source = new MemoryRepository('source/app');
        const { root } = await putRealGraph(source);
        const plan = await planGraph(source, root, { recursive: true });
        const destination = new MemoryRepository('destination/app');
        for (const wave of splitPlan(plan, { nodes })) {
          const shuffled = wave.toSorted((a, b) => ((wave.indexOf(a) + seed) % 3) - ((wave.indexOf(b) + seed) % 3));
          for (const part of shuffled) if (part.kind === 'graph') await copyGraph(part.plan, source, destination);
        }
        expect([...destination.manifests.keys()].sort()).toEqual([...source.manifests.keys()].sort());
        expect([...destination.blobs.keys()].sort()).toEqual([...source.blobs.keys()].sort());
      }),
      { numRuns: propertyRuns(20) },
    );
  });

  test('blobs alone: moved, and nothing else', async () => {
    const source = new MemoryRepository('source/app');
    const image = await putImage(source, ['x'.repeat(40), 'y'.repeat(40)]);
    const root = await putIndex(source, [image]);
    await putReferrer(source, root, 'report');
    const plan = await planGraph(source, root, { recursive: true });
    const [blobs] = splitPlan(plan, { bytes: 60 });
    const destination = new MemoryRepository('destination/app');
    for (const part of blobs ?? []) if (part.kind === 'graph') await copyGraph(part.plan, source, destination);
    expect(destination.manifests.size).toBe(0);
    expect(destination.blobs.size).toBeGreaterThan(1);
  });
});
