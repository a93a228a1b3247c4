import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRegistry, type RunningRegistry } from '../../../local/registry/server.js';
import { anonymousCredentials, createRegistries, type RegistryClient } from '../../../src/oci/index.js';
import { SBOM_MEDIA_TYPES } from '../../../src/sbom/index.js';
import { attachStep } from '../../../src/evidence/attach.js';
import { closeRunStep } from '../../../src/promotions/close-run.js';
import { openedBy } from '../../../src/rows/row-writes.js';
import { copyRequestOfPromotion, copyStep, verifyArrivalStep } from '../../../src/transfer/copy.js';
import { observeStep } from '../../../src/promotions/observe.js';
import type { StepReply } from '../../../src/ports/step.js';
import { tagDestinationStep } from '../../../src/transfer/tag.js';
import { scanAll } from '../../support/scan-world.js';
import { rule } from '../../support/rules.fixture.js';
import { NOTARY_SIGNATURE, countReferrers, pushMultiPlatform } from '../../support/images.js';
import { callOf, newCall, newWorld, rowOf, type World } from '../../support/world.js';

// The ports in memory answer as a registry does: the same steps, once, against one that speaks HTTP.

let folder: string;
let registry: RunningRegistry;
let client: RegistryClient;
let world: World;
let ports: World;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'steps-registry-'));
  registry = await startRegistry({ dataDir: folder, anonymous: true });
  client = createRegistries({ credentials: anonymousCredentials });
  const promoting = rule({
    existing: 'promote',
    source: { registry: registry.name, repositories: ['samples/**', 'not/there'] },
    destination: { reference: `${registry.name}/staging/{repository}:{tag}` },
  });
  world = newWorld(promoting);
  const counted: World['counted'] = (onRequest) => {
    const registries = client.counted(onRequest);
    return { registries, listing: registries };
  };
  const jobPolicy = { ...world.jobPolicy, allowedRegistries: [registry.name] };
  ports = Object.assign(world, { registries: client, listing: client, counted, jobPolicy });
});
afterAll(async () => {
  await client.close();
  await registry.close();
  await rm(folder, { recursive: true, force: true });
});

function doneOf<T>(reply: StepReply<T>): T {
  if (!('done' in reply)) throw new Error('it asks for later');
  return reply.done;
}

test('the schedule finds an image; it is promoted; then nothing differs', async () => {
  const source = { registry: registry.name, repository: 'samples/app', tag: 'v1' };
  const from = client.repository(source.registry, source.repository);
  const { root, amd64, arm64 } = await pushMultiPlatform(from, source.tag);
  expect(await scanAll(ports)).toMatchObject({ started: 1, checked: 1, problems: [] });

  const [{ input } = { input: undefined }] = world.engine.starts;
  const run = input as { promotionId: string; runId: string };
  const { runId } = run;
  const call = () => callOf(world, runId);
  const observe = async () => observeStep(ports, run, await call());
  expect(await observe()).toMatchObject({ done: { state: 'found', gate: 'passed', attachTo: 'source' } });
  const { did } = doneOf(await attachStep(ports, { ...run, root: root.digest }, await call()));
  expect(did).toHaveLength(6);
  const request = copyRequestOfPromotion(openedBy(await callOf(world, runId)));
  const copied = doneOf(await copyStep(ports, request, { runId, root: root.digest }, await call()));
  // Index, two images, an attestation; two SBOMs, and signatures of these six.
  expect(copied).toMatchObject({ state: 'copied', copied: 12, existed: 0 });
  expect(await verifyArrivalStep(ports, request, { runId }, await call())).toEqual({ done: { repaired: 0 } });
  const { destination } = await rowOf(world, run.promotionId);
  expect(await tagDestinationStep(ports, { ...run, root }, await call())).toEqual({
    done: { state: 'tagged', reference: destination },
  });
  await world.documents.removeAll('documents', `plans/${runId}/observe/`);
  expect(await observe()).toMatchObject({ done: { state: 'found', differences: [] } });
  const result = { outcome: 'promoted', digest: root.digest } as const;
  expect(await closeRunStep(ports, { ...run, generation: 1, result, did }, newCall())).toEqual({ done: 'closed' });

  const to = { registry: registry.name, repository: 'staging/samples/app' };
  const there = client.repository(to.registry, to.repository);
  expect((await there.resolve('v1')).digest).toBe(root.digest);
  for (const image of [amd64, arm64]) {
    expect(await countReferrers(there, image, SBOM_MEDIA_TYPES.cyclonedx)).toBe(1);
    expect(await countReferrers(there, image, NOTARY_SIGNATURE)).toBe(1);
  }
  ports.nowMs += 6 * 3_600_000;
  expect(await scanAll(ports)).toMatchObject({ started: 0, problems: [] });
});
