import { expect, test } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRegistry } from '../../../../local/registry/server.js';
import {
  compareGraphs,
  copyGraph,
  isNothingMissing,
  OCI_IMAGE_MANIFEST,
  packArtifact,
  planGraph,
  pushPacked,
  type Descriptor,
  type WritableRepository,
} from 'acr-promoter/oci';
import { MemoryRepository } from '../../../support/memory-repository.js';
import { quickClient } from '../registry/clients.js';
import { withFakeRegistry } from '../registry/fake-registry.js';
import { putRealGraph } from '../../../support/graphs.js';

const artifactOf = (subject: Descriptor, number: number): ReturnType<typeof packArtifact> =>
  packArtifact({ artifactType: 'text/evidence', layers: [], subject, annotations: { number: String(number) } });

/** Finishes a push only after a number of pushes, like a client that writes one index for all of them. */
class GatheringRepository extends MemoryRepository {
  readonly #wanted: number;
  #waiting: (() => void)[] = [];

  constructor(wanted: number) {
    super('destination/app');
    this.#wanted = wanted;
  }

  override async pushManifest(...[bytes, mediaType, options]: Parameters<WritableRepository['pushManifest']>) {
    const pushed = await super.pushManifest(bytes, mediaType, options);
    options?.onPut?.();
    if (!new TextDecoder().decode(bytes).includes('"subject"')) return pushed;
    await new Promise<void>((resolve) => {
      this.#waiting.push(resolve);
      if (this.#waiting.length >= this.#wanted) for (const go of this.#waiting.splice(0)) go();
    });
    return pushed;
  }
}

test('a referrer that waits for its index does not hold a request slot', async () => {
  const source = new MemoryRepository('source/app');
  const subject = await pushPacked(source, packArtifact({ artifactType: 'text/image', layers: [] }));
  for (let number = 0; number < 6; number += 1) await pushPacked(source, artifactOf(subject, number));
  const plan = await planGraph(source, subject, { recursive: true });
  const destination = new GatheringRepository(6);
  await copyGraph(plan, source, destination, { requestConcurrency: 1 });
  expect(destination.manifests.size).toBe(7);
});

test("the destination's list for the root is requested while the source is read", async () => {
  const source = new MemoryRepository('source/app');
  const { root } = await putRealGraph(source);
  const destination = new MemoryRepository('destination/app');
  await copyGraph(await planGraph(source, root, { recursive: true }), source, destination);
  let answer: () => void = () => {};
  const asked = new Promise<void>((resolve) => {
    answer = resolve;
  });
  destination.fault = ({ method, what }) => {
    if (method === 'listReferrers' && what === root.digest) answer();
  };
  // Answers only after the destination was asked.
  source.fault = ({ method }) => (method === 'fetchManifest' ? asked : undefined);
  destination.calls.length = 0;
  expect(isNothingMissing(await compareGraphs(source, destination, root, { recursive: true }))).toBe(true);
  // No request is repeated.
  const calls = destination.calls.map(({ method, what }) => `${method} ${what}`);
  expect(new Set(calls).size).toBe(calls.length);
});

test('a comparison reads the referrers tag only if the API does not list all expected referrers', async () => {
  const source = new MemoryRepository('source/app');
  const { root } = await putRealGraph(source);
  const folder = await mkdtemp(join(tmpdir(), 'round-trips-'));
  const registry = await startRegistry({ dataDir: folder, anonymous: true });
  const client = quickClient();
  try {
    const destination = client.repository(registry.name, 'a');
    await copyGraph(await planGraph(source, root, { recursive: true }), source, destination);
    const before = registry.log.length;
    const compared = await compareGraphs(source, destination, root, { recursive: true, isRootThere: true });
    expect(isNothingMissing(compared)).toBe(true);
    const asked = registry.log.slice(before).map(({ method, path }) => `${method} ${path}`);
    expect(asked.some((request) => request.includes('/referrers/'))).toBe(true);
    expect(asked.filter((request) => request.includes('/manifests/sha256-'))).toEqual([]);
    expect(asked).not.toContain(`HEAD /v2/a/manifests/${root.digest}`);
  } finally {
    await client.close();
    await registry.close();
    await rm(folder, { recursive: true, force: true });
  }
});

test('of many concurrent referrers one detects the missing API, and one index lists all of them', async () => {
  await withFakeRegistry({}, async ({ host, seen }) => {
    const client = quickClient();
    const repository = client.repository(host, 'a');
    const image = packArtifact({ artifactType: 'text/image', layers: [] });
    const subject = await repository.pushManifest(image.bytes, OCI_IMAGE_MANIFEST);
    await Promise.all(
      Array.from({ length: 8 }, (_, number) =>
        repository.pushManifest(artifactOf(subject, number).bytes, OCI_IMAGE_MANIFEST),
      ),
    );
    expect(seen.filter((request) => request.includes('/referrers/'))).toHaveLength(1);
    expect(seen.filter((request) => /^PUT \S*manifests\/sha256-/.test(request)).length).toBeLessThanOrEqual(2);
    expect(await repository.listReferrers(subject.digest)).toHaveLength(8);
    await client.close();
  });
});
