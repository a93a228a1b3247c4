import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRegistry, type RunningRegistry } from '../../../local/registry/server.js';
import { anonymousCredentials, createRegistries, type RegistryClient } from '../../../src/oci/index.js';
import { CYCLONEDX_JSON } from '../../../src/sbom/index.js';
import { attachSbomStep } from '../../../src/evidence/attach-sbom.js';
import { attachSignatureStep } from '../../../src/evidence/attach-signature.js';
import { closeRunStep } from '../../../src/promotions/close-run.js';
import { copyGraphStep, verifyArrivalStep } from '../../../src/transfer/copy-graph.js';
import { observeStep } from '../../../src/promotions/observe.js';
import { planCopyStep } from '../../../src/transfer/plan-copy.js';
import type { Ports } from '../../../src/ports/ports.js';
import { tagDestinationStep } from '../../../src/promotions/tag-destination.js';
import { walkScheduleStep } from '../../../src/schedule/walk-schedule.js';
import { rule } from '../../support/rules.fixture.js';
import { NOTARY_SIGNATURE, countReferrers, pushMultiPlatform } from '../../support/images.js';
import { newCall, newWorld, rowOf, type World } from '../../support/world.js';

// The ports in memory answer as a registry does: the same steps, once, against one that speaks HTTP.

let folder: string;
let registry: RunningRegistry;
let client: RegistryClient;
let world: World;
let ports: Ports;

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
  ports = { ...world, registries: client, listing: client, rules: world.rules };
});
afterAll(async () => {
  await client.close();
  await registry.close();
  await rm(folder, { recursive: true, force: true });
});

test('the schedule finds an image; it is promoted; then nothing differs', async () => {
  const source = { registry: registry.name, repository: 'samples/app', tag: 'v1' };
  const from = client.repository(source.registry, source.repository);
  const { root, amd64, arm64 } = await pushMultiPlatform(from, source.tag);
  const walked = await walkScheduleStep(ports, { cursor: null, started: 0 }, newCall());
  expect(walked).toEqual({ cursor: null, started: 1, looked: 1, problems: [] });

  const [{ input } = { input: undefined }] = world.engine.starts;
  const { promotionId, runId } = input as { promotionId: string; runId: string };
  const { destination } = await rowOf(world, promotionId);
  const run = { promotionId, runId, rule: world.ruleList[0] ?? rule(), source, destination };
  const observe = () => observeStep(ports, run, newCall());
  const observed = await observe();
  if (observed.state !== 'found') throw new Error(`it is ${observed.state}`);
  for (const image of observed.images.filter(({ sbom }) => sbom)) {
    await attachSbomStep(ports, { ...run, image }, newCall());
  }
  for (const { mediaType, digest, size } of observed.images) {
    await attachSignatureStep(ports, { ...run, subject: { mediaType, digest, size } }, newCall());
  }
  const plan = await planCopyStep(
    ports,
    { runId, source, root: root.digest, tag: source.tag, recursive: true, excludeArtifactTypes: [] },
    newCall(),
  );
  if (plan.state !== 'planned') throw new Error('superseded');
  const to = { registry: registry.name, repository: 'staging/samples/app' };
  const copy = { runId, plan: plan.plan, source, destination: to };
  expect(await copyGraphStep(ports, copy, newCall())).toMatchObject({ copied: plan.manifests });
  expect(await verifyArrivalStep(ports, copy, newCall())).toEqual({ repaired: 0 });
  expect(await tagDestinationStep(ports, { ...run, root: plan.root }, newCall())).toEqual({ done: 'tagged' });
  expect(await observe()).toMatchObject({ state: 'found', differences: [] });
  const result = { outcome: 'promoted', digest: root.digest } as const;
  expect(await closeRunStep(ports, { ...run, wanted: 1, result, did: [] }, newCall())).toEqual({ done: 'closed' });

  const there = client.repository(to.registry, to.repository);
  expect((await there.resolve('v1')).digest).toBe(root.digest);
  for (const image of [amd64, arm64]) {
    expect(await countReferrers(there, image, CYCLONEDX_JSON)).toBe(1);
    expect(await countReferrers(there, image, NOTARY_SIGNATURE)).toBe(1);
  }
  expect(await walkScheduleStep(ports, { cursor: null, started: 0 }, newCall())).toMatchObject({
    started: 0,
    looked: 1,
  });
});
