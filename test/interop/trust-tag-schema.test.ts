import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { basicCredentials, createRegistries, pushPacked, type RegistryRepository } from '../../src/oci/index.js';
import { CYCLONEDX_JSON } from '../../src/sbom/index.js';
import { startEverything, type Everything } from './promotion/everything.js';
import { foreseeSbom } from './trust/foresee.js';
import { pushImage, pushIndex } from './trust/push.js';

// A source without the referrers API: whoever may push writes its only lists.

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
    expect(await staging.listReferrers(image.digest, { artifactType: CYCLONEDX_JSON })).toHaveLength(1);
  },
  120_000,
);
