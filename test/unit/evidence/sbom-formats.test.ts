import { beforeEach, describe, expect, test } from '@jest/globals';
import type { Descriptor, Digest } from '../../../src/oci/index.js';
import { parseManifest } from '../../../src/oci/index.js';
import { attachmentDifferences } from '../../../src/evidence/differences.js';
import { attachSbomStep, type AttachedSbom } from '../../../src/evidence/our-sbom.js';
import { ruleSchema, SBOM_GAPS } from '../../../src/rules/rule.js';
import { GAP_CAUSES, SBOM_FORMATS, SBOM_MEDIA_TYPES, type Sbom, type SbomInput } from '../../../src/sbom/index.js';
import type { MemoryRepository } from '../../support/memory-repository.js';
import { rule } from '../../support/rules.fixture.js';
import { pushImage } from '../../support/images.js';
import { KEY } from '../../support/scripted.js';
import { REGISTRY, SOURCE, newCall, newWorld, type World } from '../../support/world.js';

const BOTH = { formats: ['cyclonedx', 'spdx'] };
const UNLIMITED = new AbortController().signal;

let world: World;
let source: MemoryRepository;
let image: Descriptor;
/** The formats of each read of the layers. */
let reads: (readonly string[] | undefined)[];

beforeEach(async () => {
  world = newWorld();
  source = world.registries.repository(REGISTRY, SOURCE.repository);
  image = await pushImage(source, { tag: SOURCE.tag });
  reads = [];
});

/** Lets SBOMs have these gaps, and this tool. */
function changeSboms(change: (sbom: Sbom) => Sbom): void {
  const before = world.sbom;
  world.sbom = {
    generate: async (input: SbomInput) => {
      reads.push(input.formats);
      return (await before.generate(input)).map(change);
    },
  };
}

async function attach(which = rule()): Promise<AttachedSbom[]> {
  const input = { ...KEY, rule: which, source: SOURCE, image: { ...image, label: 'image', sbom: true } };
  const reply = await attachSbomStep(world, input, newCall());
  if (!('done' in reply)) throw new Error('the step backed off');
  return reply.done.sboms;
}

async function manifestOf(digest: Digest) {
  const { bytes, descriptor } = await source.fetchManifest(digest);
  return parseManifest(bytes, descriptor.mediaType, digest);
}

const differences = (which = rule()): Promise<string[]> =>
  attachmentDifferences(world, which, source, [{ ...image, label: 'image', sbom: true }], UNLIMITED);
const isListed = async (which = rule()): Promise<boolean> => (await differences({ ...which, sign: [] })).length === 0;

describe('a rule with both formats', () => {
  const both = rule({ sbom: BOTH });

  test('reads the layers once, and attaches and signs an SBOM of each format', async () => {
    changeSboms((sbom) => sbom);
    const sboms = await attach(both);
    expect(reads).toEqual([['cyclonedx', 'spdx']]);
    expect(sboms.map(({ format, made }) => [format, made])).toEqual([
      ['cyclonedx', true],
      ['spdx', true],
    ]);
    for (const { format, digest, signature } of sboms) {
      expect(await manifestOf(digest)).toMatchObject({ artifactType: SBOM_MEDIA_TYPES[format] });
      const signatures = await source.listReferrers(digest);
      expect(signatures.map((each) => each.digest)).toEqual([signature]);
    }
    expect((await attach(both)).every(({ made }) => !made)).toBe(true);
    expect(reads).toHaveLength(1);
    expect(await isListed(both)).toBe(true);
  });

  test('makes only the format that is missing', async () => {
    const [first] = await attach();
    expect(await isListed(both)).toBe(false);
    expect(await differences(both)).toEqual(['image has no SBOM or signature from this app yet']);
    changeSboms((sbom) => sbom);
    const [cyclonedx, spdx] = await attach(both);
    expect(reads).toEqual([['spdx']]);
    expect(cyclonedx).toEqual({ ...first, made: false });
    expect(spdx).toMatchObject({ format: 'spdx', made: true });
  });
});

describe('a rule that allows only some gaps', () => {
  const gap = { cause: 'unowned-binaries', count: 3, examples: ['opt/a'] } as const;

  test('refuses other gaps after the SBOM that names them is attached, and again without reading the layers', async () => {
    changeSboms((sbom) => ({ ...sbom, gaps: [{ ...gap, examples: [] }] }));
    const strict = rule({ sbom: { allowGaps: [] } });
    await expect(attach(strict)).rejects.toMatchObject({ code: 'SBOM_INCOMPLETE', name: 'PolicyError' });
    const [sbom] = await source.listReferrers(image.digest, { artifactType: SBOM_MEDIA_TYPES.cyclonedx });
    expect(sbom?.annotations).toMatchObject({ 'io.acr-promoter.sbom.gaps': 'unowned-binaries=3' });
    await expect(attach(strict)).rejects.toMatchObject({ code: 'SBOM_INCOMPLETE' });
    expect(reads).toHaveLength(1);
    expect(await differences(rule({ sign: [], sbom: { allowGaps: [] } }))).toHaveLength(1);
    const lenient = rule({ sign: [], sbom: { allowGaps: ['unowned-binaries'] } });
    expect(await differences(lenient)).toEqual([]);
    expect(await attach(lenient)).toMatchObject([{ digest: sbom?.digest, made: false }]);
    expect(reads).toHaveLength(1);
  });

  test('accepts a complete SBOM', async () => {
    changeSboms((sbom) => ({ ...sbom, gaps: [] }));
    expect(await attach(rule({ sbom: { allowGaps: [] } }))).toMatchObject([{ made: true }]);
  });

  test('makes an SBOM again whose manifest does not tell its gaps', async () => {
    changeSboms((sbom) => ({ ...sbom, gaps: [{ ...gap, cause: 'a-cause-of-tomorrow' as never, examples: [] }] }));
    await attach();
    world.sbom = newWorld().sbom;
    changeSboms((sbom) => ({ ...sbom, gaps: [] }));
    expect(await attach(rule({ sbom: { allowGaps: [] } }))).toMatchObject([{ made: true }]);
  });

  test('is not what a rule is by default: gaps are only named', async () => {
    changeSboms((sbom) => ({ ...sbom, gaps: [{ ...gap, examples: [] }] }));
    expect(await attach()).toMatchObject([{ made: true }]);
    expect(await differences(rule({ sign: [] }))).toEqual([]);
  });
});

describe('an SBOM by an older version of this app', () => {
  let old: AttachedSbom | undefined;
  beforeEach(async () => {
    changeSboms((sbom) => ({ ...sbom, tool: 'acr-promoter/0.0.1', bytes: Buffer.from('{}') }));
    [old] = await attach();
    world.sbom = newWorld().sbom;
    changeSboms((sbom) => sbom);
    reads = [];
  });

  test('counts by default', async () => {
    expect(await attach()).toEqual([{ ...old, made: false }]);
    expect([await isListed(), await differences(rule({ sign: [] }))]).toEqual([true, []]);
  });

  test('is made again once if the rule says so, and the new one names the old one', async () => {
    const fresh = rule({ sign: [], sbom: { refresh: true } });
    expect([await isListed(fresh), (await differences(fresh)).length]).toEqual([false, 1]);
    const [sbom] = await attach(rule({ sbom: { refresh: true } }));
    expect(sbom?.made).toBe(true);
    expect((await manifestOf(sbom?.digest ?? 'sha256:')).annotations).toMatchObject({
      'io.acr-promoter.sbom.replaces': old?.digest,
      'io.acr-promoter.sbom.tool': 'acr-promoter/0.1.0',
    });
    expect(await attach(rule({ sbom: { refresh: true } }))).toEqual([{ ...sbom, made: false }]);
    expect(reads).toHaveLength(1);
    expect([await isListed(fresh), await differences(fresh)]).toEqual([true, []]);
    // Without refresh, the newest one counts.
    expect(await attach()).toEqual([{ ...sbom, made: false }]);
  });
});

test('rules know the formats and the causes of gaps of SBOMs', () => {
  expect(SBOM_GAPS).toEqual(GAP_CAUSES);
  const { formats } = ruleSchema.shape.sbom.parse({ formats: [...SBOM_FORMATS, ...SBOM_FORMATS].slice(0, 2) });
  expect(formats).toEqual(SBOM_FORMATS);
});
