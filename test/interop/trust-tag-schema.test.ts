import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  basicCredentials,
  createRegistries,
  pushPacked,
  type Descriptor,
  type RegistryRepository,
} from '../../src/oci/index.js';
import { SBOM_MEDIA_TYPES } from '../../src/sbom/index.js';
import { NOTARY_SIGNATURE } from '../../src/signing/index.js';
import { startEverything, until, type Everything } from '../support/stack/everything.js';
import { foreseeSbom } from './trust/foresee.js';
import { pushImage, pushIndex } from './trust/push.js';

// A source without the referrers API: anybody who may push writes its only lists.

const EXCLUDED = 'application/vnd.azure.artifact.streaming.v1';

let up: Everything;
let registries: ReturnType<typeof createRegistries>;

beforeAll(async () => {
  up = await startEverything({
    args: ['--source-quirks', 'noReferrersApi'],
    rules: ({ source, staging }) => ({
      rules: [
        {
          name: 'open',
          source: { registry: source, repositories: ['open/**'] },
          destination: { reference: `${staging}/staging/{repository}:{tag}` },
        },
      ],
    }),
  });
  const { name, password } = up.user;
  registries = createRegistries({ credentials: basicCredentials(name, password, [up.source, up.staging]) });
}, 120_000);

afterAll(async () => {
  await registries?.close();
  await up?.stop();
}, 60_000);

/** The SBOM of an image that is listed under a type that no rule copies. */
async function hideSbom(at: RegistryRepository, name: string, image: Awaited<ReturnType<typeof pushImage>>) {
  const packed = await foreseeSbom(at, `${up.source}/${name}`, image);
  await pushPacked(at, packed);
  const { mediaType, digest, size } = packed.descriptor;
  const entry = { mediaType, digest, size, artifactType: EXCLUDED };
  await pushIndex(at, [entry], { tag: image.digest.replace(':', '-') });
}

test.each([
  ['an image that nobody has listed anything of', 'twin'],
  ['an image whose SBOM is listed under a type that is excluded', 'attack'],
])(
  '%s arrives with its SBOM',
  async (_what, which) => {
    const name = `open/${which}`;
    const at = registries.repository(up.source, name);
    const image = await pushImage(at, { contains: 'left-pad' });
    if (which === 'attack') await hideSbom(at, name, image);
    const { bytes, descriptor } = await at.fetchManifest(image.digest);
    const sinceMs = Date.now();
    await at.pushManifest(bytes, descriptor.mediaType, { tag: 'v1' });
    const { last } = await up.ended(name, 'v1', sinceMs);
    expect(last?.digest).toBe(image.digest);
    expect(['promoted', 'unchanged']).toContain(last?.outcome);
    const staging = registries.repository(up.staging, `staging/${name}`);
    expect(await staging.listReferrers(image.digest, { artifactType: SBOM_MEDIA_TYPES.cyclonedx })).toHaveLength(1);
  },
  120_000,
);

/** How long the list is watched, in milliseconds, and how often it is read. */
const ATTACK_MS = 25_000;
const EVERY_MS = 3;

/** Empties the image's list of referrers each time that the SBOM and the signature are in it, until its tag is in staging. @returns how often */
async function emptyList(at: RegistryRepository, image: Descriptor, isTagged: () => Promise<boolean>): Promise<number> {
  let times = 0;
  for (const endMs = Date.now() + ATTACK_MS; Date.now() < endMs; await sleep(EVERY_MS)) {
    if (await isTagged()) break;
    if ((await at.listReferrers(image.digest)).length < 2) continue;
    await pushIndex(at, [], { tag: image.digest.replace(':', '-') });
    times += 1;
  }
  return times;
}

test.each([
  ['whose list of referrers nobody touches', 'race-twin'],
  ['whose list of referrers is emptied when evidence is in it', 'race'],
])(
  'an image %s stands in staging only with its SBOM and its signature',
  async (_what, which) => {
    const name = `open/${which}`;
    const at = registries.repository(up.source, name);
    const staging = registries.repository(up.staging, `staging/${name}`);
    const image = await pushImage(at, { contains: 'left-pad' });
    const { bytes, descriptor } = await at.fetchManifest(image.digest);
    const isTagged = (): Promise<boolean> =>
      staging.resolve('v1').then(
        () => true,
        () => false,
      );
    const attack = which === 'race' ? emptyList(at, image, isTagged) : undefined;
    await at.pushManifest(bytes, descriptor.mediaType, { tag: 'v1' });
    // Tagged during the attack, or not: the last run after it finds nobody in its way.
    const times = await attack;
    if (times !== undefined) {
      expect(times).toBeGreaterThan(0);
      if (!(await isTagged())) await at.pushManifest(bytes, descriptor.mediaType, { tag: 'v1' });
    }
    await until('the tag', async () => ((await isTagged()) ? true : undefined));
    expect((await staging.resolve('v1')).digest).toBe(image.digest);
    expect(await staging.listReferrers(image.digest, { artifactType: SBOM_MEDIA_TYPES.cyclonedx })).toHaveLength(1);
    expect(await staging.listReferrers(image.digest, { artifactType: NOTARY_SIGNATURE })).toHaveLength(1);
  },
  180_000,
);
