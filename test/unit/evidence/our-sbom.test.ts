import { beforeEach, expect, test } from '@jest/globals';
import type { Descriptor } from '../../../src/oci/index.js';
import { SBOM_MEDIA_TYPES } from '../../../src/sbom/index.js';
import { findOurSbom } from '../../../src/evidence/find-sbom.js';
import { attachSbomStep } from '../../../src/evidence/our-sbom.js';
import type { MemoryRepository } from '../../support/memory-repository.js';
import { rule } from '../../support/rules.fixture.js';
import { pushArtifact, pushImage } from '../../support/images.js';
import { KEY } from '../../support/scripted.js';
import { REGISTRY, SOURCE, newCall, newWorld, type World } from '../../support/world.js';

// Anybody may attach any number of SBOMs to an image: ours is found among them, and looking for it ends.

const FOREIGN = 300;

let world: World;
let source: MemoryRepository;
let image: Descriptor;

beforeEach(async () => {
  world = newWorld();
  source = world.registries.repository(REGISTRY, SOURCE.repository);
  image = await pushImage(source, { tag: SOURCE.tag });
  for (let number = 0; number < FOREIGN; number += 1)
    await pushArtifact(source, SBOM_MEDIA_TYPES.cyclonedx, { subject: image, text: String(number) });
  source.calls.length = 0;
});
const find = (sign: 'notary'[] = ['notary']) =>
  findOurSbom(world, { sign, sbom: rule().sbom }, source, { image, format: 'cyclonedx' }, new AbortController().signal);

test('a limited number of SBOMs is read if none is the app’s own', async () => {
  expect(await find()).toBeUndefined();
  // The image's list, and that of each SBOM that might be signed by us.
  expect(source.count('listReferrers')).toBe(1 + 100);
  source.calls.length = 0;
  expect(await find([])).toBeUndefined();
  expect(source.count('listReferrers')).toBe(1);
});

test('the app’s own SBOM is found at once by its record, even if it is listed last', async () => {
  const input = { ...KEY, rule: rule(), source: SOURCE, image: { ...image, label: 'image', sbom: true } };
  const attached = await attachSbomStep(world, input, newCall());
  if (!('done' in attached)) throw new Error('the step backed off');
  source.calls.length = 0;
  expect((await find())?.digest).toBe(attached.done.sboms[0]?.digest);
  expect(source.count('listReferrers')).toBe(2);
  expect((await find([]))?.digest).toBe(attached.done.sboms[0]?.digest);
});
