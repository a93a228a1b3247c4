import { expect, test } from '@jest/globals';
import { packArtifact, pushPacked } from '../../../src/oci/index.js';
import { raiseWanted, closeRun } from '../../../src/runs/promotion-runs.js';
import { NOTARY_SIGNATURE } from '../../../src/signing/index.js';
import { deepPass } from '../../../src/steps/deep-pass.js';
import { signaturesHash } from '../../../src/steps/our-signature.js';
import { MemoryRegistries } from '../oci/memory-repository.js';
import { rule } from '../promotion/rules.fixture.js';
import { memoryEngine, memoryRunStore } from '../runs/memory-ports.js';
import { newCall } from './world.js';

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
  const { promotionId, runId = '', wanted } = await raiseWanted(ports, staging, name, { kind: 'push' });
  await closeRun(ports, promotionId, runId, {
    wanted,
    rule: staging,
    result: { outcome: 'promoted', digest: image.descriptor.digest },
  });
  const call = newCall(AbortSignal.timeout(10_000));

  expect(await deepPass(ports, [staging], call)).toBe(0);
  await pushPacked(source, packArtifact({ artifactType: 'test/evidence', layers: [], subject: image.descriptor }));
  expect(await deepPass(ports, [staging], call)).toBe(1);
  expect((await ports.store.getPromotion(promotionId))?.value).toMatchObject({ runOpen: true, wanted: 2 });
});

test('what was refused for missing evidence looks again once there is some', async () => {
  const registries = new MemoryRegistries();
  const source = registries.repository('r.azurecr.io', 'samples/app');
  const image = packArtifact({ artifactType: 'test/image', layers: [] });
  await pushPacked(source, image, { tag: 'v1' });
  const staging = rule();
  const ports = {
    registries,
    store: memoryRunStore(),
    engine: memoryEngine(),
    paused: false,
    now: () => new Date(),
    rules: { load: async () => [staging] },
  };
  const call = newCall(AbortSignal.timeout(10_000));
  const name = { registry: 'r.azurecr.io', repository: 'samples/app', tag: 'v1' };
  const { promotionId, runId = '', wanted } = await raiseWanted(ports, staging, name, { kind: 'push' });
  const evidence = await signaturesHash(source, image.descriptor, call.signal);
  await closeRun(ports, promotionId, runId, {
    wanted,
    rule: staging,
    result: { outcome: 'refused', code: 'EVIDENCE_MISSING', evidence, digest: image.descriptor.digest },
  });

  expect(await deepPass(ports, [staging], call)).toBe(0);
  const signature = packArtifact({ artifactType: NOTARY_SIGNATURE, layers: [], subject: image.descriptor });
  await pushPacked(source, signature);
  expect(await deepPass(ports, [staging], call)).toBe(1);
  expect((await ports.store.getPromotion(promotionId))?.value).toMatchObject({ runOpen: true, wanted: 2 });
});
