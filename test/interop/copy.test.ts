import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { missingAt } from '../support/missing-at.js';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  copyGraph,
  isNothingMissing,
  openLayout,
  planGraph,
  verifyArrival,
  type CopyPlan,
  type Descriptor,
  type Repository,
} from 'acr-promoter/oci';
import { putImage, putReferrer } from '../support/graphs.js';
import { MemoryRepository } from '../support/memory-repository.js';
import { acrPromoter, runPeer } from './copy/programs.js';
import { startLocal, startOlareg, useWorkspace, type TestRegistry } from './copy/registries.js';
import { describeWithPeers } from '../support/peers.js';

/** 50 copies; in CI, 10. */
const ROUNDS = process.env.CI === undefined ? 50 : 10;
const workspace = useWorkspace();

async function read(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString('base64');
}

/** Every byte of a graph, by digest. */
async function contentOf(repository: Repository, plan: CopyPlan): Promise<Record<string, string>> {
  const content: Record<string, string> = {};
  for (const { descriptor, blobs } of plan.manifests) {
    content[descriptor.digest] = Buffer.from((await repository.fetchManifest(descriptor)).bytes).toString();
    for (const blob of blobs) content[blob.digest] = await read(await repository.openBlob(blob));
  }
  return content;
}

async function planOf(repository: Repository, tag: string): Promise<CopyPlan> {
  return planGraph(repository, await repository.resolve(tag), { recursive: true });
}

describeWithPeers('copies, compared with oras and crane', ['oras', 'crane'], ([oras = '', crane = '']) => {
  let source: TestRegistry;
  let destination: TestRegistry;
  const from = (repository = 'app'): Repository => workspace.client().repository(source.name, repository);
  const to = (repository: string): Repository => workspace.client().repository(destination.name, repository);
  const peer = (program: string, ...argv: string[]): Promise<string> => runPeer(program, argv, workspace.folder());

  beforeAll(async () => {
    source = await startLocal(join(workspace.folder(), 'source'));
    destination = await startLocal(join(workspace.folder(), 'destination'));
    await writeFile(join(workspace.folder(), 'a.txt'), 'hello');
    await writeFile(join(workspace.folder(), 'b.txt'), 'world'.repeat(100_000));
    const app = `${source.name}/app`;
    await peer(oras, 'push', `${app}:a`, 'a.txt', '--artifact-type', 'test/image');
    await peer(oras, 'push', `${app}:b`, 'b.txt', 'a.txt', '--artifact-type', 'test/image');
    await peer(oras, 'manifest', 'index', 'create', `${app}:v1`, 'a', 'b');
    await peer(oras, 'attach', `${app}:v1`, '--artifact-type', 'application/spdx+json', 'a.txt');
    const attached = await peer(
      oras,
      'attach',
      `${app}:a`,
      '--artifact-type',
      'application/spdx+json',
      'b.txt',
      '--format',
      'json',
    );
    const { digest } = JSON.parse(attached) as Descriptor;
    await peer(oras, 'attach', `${app}@${digest}`, '--artifact-type', 'application/vnd.cncf.notary.signature', 'a.txt');
    await peer('tar', '-cf', 'layer.tar', 'a.txt', 'b.txt');
    await peer(crane, 'append', '--insecure', '-f', 'layer.tar', '-t', `${app}:crane`, '--oci-empty-base');
  }, 60_000);
  afterAll(async () => {
    await source.close();
    await destination.close();
  });

  test('our copy of a graph and that of oras have the same bytes', async () => {
    await acrPromoter('copy', '-r', `${source.name}/app:v1`, `${destination.name}/ours:v1`);
    await peer(oras, 'cp', '-r', `${source.name}/app:v1`, `${destination.name}/theirs:v1`);
    const plan = await planOf(from(), 'v1');
    expect(plan.manifests).toHaveLength(6);
    const content = await contentOf(from(), plan);
    for (const repository of ['ours', 'theirs']) {
      const copied = await planOf(to(repository), 'v1');
      expect(new Set(copied.manifests.map(({ descriptor }) => descriptor.digest))).toEqual(
        new Set(plan.manifests.map(({ descriptor }) => descriptor.digest)),
      );
      expect(await contentOf(to(repository), copied)).toEqual(content);
    }
  });

  test('oras sees in our copy what it sees in its own', async () => {
    const [ours, theirs] = await Promise.all(
      ['ours', 'theirs'].map(async (repository) => {
        const json = await peer(oras, 'discover', '--format', 'json', `${destination.name}/${repository}:v1`);
        return JSON.parse(json.replaceAll(`${destination.name}/${repository}`, 'repository')) as object;
      }),
    );
    expect(ours).toEqual(theirs);
  });

  test('crane validates our copy of an image that crane pushed', async () => {
    await acrPromoter('copy', `${source.name}/app:crane`, `${destination.name}/crane:v1`);
    expect(await peer(crane, 'digest', '--insecure', `${destination.name}/crane:v1`)).toBe(
      await peer(crane, 'digest', '--insecure', `${source.name}/app:crane`),
    );
    await peer(crane, 'validate', '--insecure', '--remote', `${destination.name}/crane:v1`);
  });

  test('nothing is left to copy after a copy by oras and crane', async () => {
    await peer(crane, 'copy', '--insecure', `${source.name}/app:a`, `${destination.name}/by-crane:v1`);
    const plan = await planGraph(from(), await from().resolve('a'));
    expect(isNothingMissing(await missingAt(plan, to('by-crane')))).toBe(true);
    const report = await copyGraph(await planOf(from(), 'v1'), from(), to('theirs'));
    expect(report.copied).toEqual([]);
  });

  test('blobs are mounted within one registry', async () => {
    const plan = await planOf(from(), 'v1');
    const report = await copyGraph(plan, from(), from('staging/app'), { mountFrom: 'app' });
    expect(report.mounted).toHaveLength(plan.blobCount);
    expect(report.movedBytes).toBe(plan.manifests.reduce((sum, { descriptor }) => sum + descriptor.size, 0));
  });

  test('oras and crane read our layout', async () => {
    const layout = join(workspace.folder(), 'our-layout');
    await acrPromoter('copy', '-r', `${source.name}/app:v1`, '--to-oci-layout', `${layout}:v1`);
    await peer(oras, 'cp', '-r', '--from-oci-layout', `${layout}:v1`, `${destination.name}/from-our-layout:v1`);
    const plan = await planOf(from(), 'v1');
    expect(isNothingMissing(await missingAt(plan, to('from-our-layout')))).toBe(true);
    expect(await contentOf(to('from-our-layout'), plan)).toEqual(await contentOf(from(), plan));
    const image = join(workspace.folder(), 'image-layout');
    await acrPromoter('copy', `${source.name}/app:crane`, '--to-oci-layout', `${image}:v1`);
    await peer(crane, 'push', '--insecure', image, `${destination.name}/crane-from-layout:v1`);
    expect((await to('crane-from-layout').resolve('v1')).digest).toBe((await from().resolve('crane')).digest);
  });

  test('a layout of oras is read as a folder and as a tar', async () => {
    const layout = join(workspace.folder(), 'their-layout');
    await peer(oras, 'cp', '-r', `${source.name}/app:v1`, '--to-oci-layout', `${layout}:v1`);
    await peer('tar', '-cf', `${layout}.tar`, '-C', layout, '.');
    const plan = await planOf(from(), 'v1');
    for (const [index, path] of [layout, `${layout}.tar`].entries()) {
      const repository = `from-their-layout-${index}`;
      await acrPromoter('copy', '-r', '--from-oci-layout', `${path}:v1`, `${destination.name}/${repository}:v1`);
      expect(isNothingMissing(await missingAt(plan, to(repository)))).toBe(true);
      expect(await contentOf(to(repository), plan)).toEqual(await contentOf(from(), plan));
    }
    const opened = await openLayout(layout);
    expect(await contentOf(opened, await planOf(opened, 'v1'))).toEqual(await contentOf(from(), plan));
  });
});

describeWithPeers('a registry that loses referrers', ['olareg'], ([program = '']) => {
  let olareg: TestRegistry;
  beforeAll(async () => {
    olareg = await startOlareg(program);
  });
  afterAll(() => olareg.close());

  test(`${ROUNDS} copies of a graph with five referrers, and each time all five are listed`, async () => {
    const source = new MemoryRepository('memory/app');
    const image = await putImage(source, ['layer']);
    const sent: string[] = [];
    for (let index = 0; index < 5; index += 1) sent.push((await putReferrer(source, image, `${index}`)).digest);
    const plan = await planGraph(source, image, { recursive: true });
    const listed: string[][] = [];
    let restored = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      const destination = workspace.client().repository(olareg.name, `round-${round}`);
      await copyGraph(plan, source, destination);
      restored += (await verifyArrival(plan, destination, { source })).restored.length;
      const answer = await fetch(`http://${olareg.name}/v2/round-${round}/referrers/${image.digest}`);
      const { manifests } = (await answer.json()) as { manifests: Descriptor[] };
      listed.push(manifests.map(({ digest }) => digest).sort());
    }
    expect(listed).toEqual(Array.from({ length: ROUNDS }, () => sent.toSorted()));
    process.stdout.write(`referrers that olareg lost and was given again: ${restored} of ${ROUNDS * 5}\n`);
  }, 120_000);
});
