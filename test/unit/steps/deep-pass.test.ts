import { expect, test } from '@jest/globals';
import { packArtifact, pushPacked } from '../../../src/oci/index.js';
import { raiseWanted, closeRun } from '../../../src/runs/promotion-runs.js';
import { deepPass } from '../../../src/steps/deep-pass.js';
import { MemoryRegistries } from '../oci/memory-repository.js';
import { rule } from '../promotion/rules.fixture.js';
import { memoryEngine, memoryRunStore } from '../runs/memory-ports.js';

test('a referrer that nobody told of is found, and what is in sync is left alone', async () => {
  const registries = new MemoryRegistries();
  const source = registries.repository('r.azurecr.io', 'samples/app');
  const destination = registries.repository('r.azurecr.io', 'staging/samples/app');
  const image = packArtifact({ artifactType: 'test/image', layers: [] });
  for (const repository of [source, destination]) await pushPacked(repository, image, { tag: 'v1' });
  const staging = rule();
  const ports = {
    registries,
    store: memoryRunStore(),
    engine: memoryEngine(),
    paused: false,
    now: () => new Date(),
    rules: { load: async () => [staging] },
  };
  const name = { registry: 'r.azurecr.io', repository: 'samples/app', tag: 'v1' };
  const { promotionId, runId = '', wanted } = await raiseWanted(ports, staging, name);
  await closeRun(ports, promotionId, runId, {
    wanted,
    rule: staging,
    result: { outcome: 'promoted', digest: image.descriptor.digest },
  });
  const call = { signal: AbortSignal.timeout(10_000), progress: { text: () => undefined, bytes: () => undefined } };

  expect(await deepPass(ports, [staging], call)).toBe(0);
  await pushPacked(source, packArtifact({ artifactType: 'test/evidence', layers: [], subject: image.descriptor }));
  expect(await deepPass(ports, [staging], call)).toBe(1);
  expect((await ports.store.getPromotion(promotionId))?.value).toMatchObject({ runOpen: true, wanted: 2 });
});
