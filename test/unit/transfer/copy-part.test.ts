import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRegistry, type RegistryOptions, type RunningRegistry } from '../../../local/registry/server.js';
import {
  OCI_IMAGE_CONFIG,
  OCI_IMAGE_MANIFEST,
  anonymousCredentials,
  createRegistries,
  digestOf,
  encodeManifest,
  type Descriptor,
  type RegistryClient,
  type Repository,
} from '../../../src/oci/index.js';
import type { InputOf } from '../../../src/rows/step-contract.js';
import type { copyPartContract } from '../../../src/transfer/contracts.js';
import { copyPartStep } from '../../../src/transfer/copy-part.js';
import { partName } from '../../../src/transfer/part-name.js';
import { planCopyStep } from '../../../src/transfer/plan-copy.js';
import type { Ports } from '../../../src/ports/ports.js';
import { breakEverywhere } from '../../support/breaking.js';
import { pushArtifact, pushImage } from '../../support/images.js';
import { REGISTRY, SOURCE, newCall, newWorld, type World } from '../../support/world.js';

const MIB = 1024 * 1024;
const PIECE = MIB;
/** Bytes of one call: three pieces. */
const STRETCH = 3 * MIB;
const LAYER = Buffer.alloc(8 * MIB + 5, 'a layer that no part has room for');

let folder: string;
let client: RegistryClient;
let up: RunningRegistry[] = [];
let world: World;
let ports: Ports;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'copy-part-'));
  client = createRegistries({
    credentials: anonymousCredentials,
    uploads: { chunkBytes: PIECE },
    retry: { baseMs: 1 },
  });
  world = newWorld();
  ports = { ...world, registries: client, copyParts: { bytes: STRETCH, nodes: 1000 } };
});
afterEach(async () => {
  await client.close();
  await Promise.all(up.map((each) => each.close()));
  up = [];
  await rm(folder, { recursive: true, force: true });
});

async function registry(quirks: RegistryOptions['quirks'] = {}): Promise<RunningRegistry> {
  const each = await startRegistry({ dataDir: join(folder, String(up.length)), anonymous: true, quirks });
  up.push(each);
  return each;
}

async function pushBlob(repository: Repository, mediaType: string, bytes: Uint8Array): Promise<Descriptor> {
  const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length };
  await repository.pushBlob(descriptor, async function* () {
    yield bytes;
  });
  return descriptor;
}

/** An image with one large layer at the source; its copy is planned. */
async function planned(from: RunningRegistry, to: { registry: string; repository: string }) {
  const source = { registry: from.name, repository: 'samples/large' };
  const repository = client.repository(source.registry, source.repository);
  const config = await pushBlob(repository, OCI_IMAGE_CONFIG, Buffer.from('{}'));
  const layer = await pushBlob(repository, 'application/vnd.oci.image.layer.v1.tar', LAYER);
  const bytes = encodeManifest({ schemaVersion: 2, mediaType: OCI_IMAGE_MANIFEST, config, layers: [layer] });
  const root = await repository.pushManifest(bytes, OCI_IMAGE_MANIFEST, { tag: 'v1' });
  const plan = await planCopyStep(
    ports,
    { runId: 'r1', source, root: root.digest, recursive: true, excludeArtifactTypes: [], destination: to },
    newCall(),
  );
  if (plan.state !== 'planned' || plan.parts === undefined) throw new Error('it is small');
  const { folder: of, waves } = plan.parts;
  const part = (wave: number, index: number): InputOf<typeof copyPartContract> => ({
    runId: 'r1',
    part: partName(of, wave, index),
    label: '1.1',
    source,
    destination: to,
  });
  return { plan, root, layer, waves, part, blob: part(0, 0) };
}
const upload = (input: { part: string }): unknown => {
  const kept = world.documents.kept.get(`documents/${input.part}.upload`);
  return kept && (JSON.parse(Buffer.from(kept).toString()) as unknown);
};
const patches = ({ log }: RunningRegistry): number => log.filter(({ method }) => method === 'PATCH').length;

describe('a blob that is too large for one call', () => {
  test('is moved by stretches; where its upload stands is a document, and no part of history', async () => {
    const [from, to] = [await registry(), await registry()];
    const target = { registry: to.name, repository: 'staging/large' };
    const { waves, part, blob, root, layer } = await planned(from, target);
    expect(waves).toEqual([2, 1]);
    const seen: [number, number][] = [];
    const call = {
      ...newCall(),
      progress: { ...newCall().progress, bytes: (done: number, all: number) => void seen.push([done, all]) },
    };
    const answers = [];
    for (let more = true; more && answers.length < 9;) {
      const answer = await copyPartStep(ports, blob, call);
      ({ more } = answer);
      answers.push(answer);
      if (more) expect(upload(blob)).toMatchObject({ receivedBytes: answers.length * STRETCH, restarts: 0 });
    }
    expect(answers).toEqual([
      { more: true, copied: 0, existed: 0, mounted: 0, bytes: STRETCH },
      { more: true, copied: 0, existed: 0, mounted: 0, bytes: STRETCH },
      { more: false, copied: 1, existed: 0, mounted: 0, bytes: LAYER.length - 2 * STRETCH },
    ]);
    // Neither the upload's address nor what stands in it.
    expect(JSON.stringify(answers)).not.toContain('uploads');
    expect(patches(to)).toBe(9);
    expect(seen.at(-1)).toEqual([LAYER.length, LAYER.length]);
    const there = client.repository(to.name, target.repository);
    expect(await there.hasBlob(layer)).toBe(true);
    // The manifest's part asks for no blob that another part has moved.
    expect(await copyPartStep(ports, part(0, 1), newCall())).toMatchObject({ copied: 1, more: false });
    expect(await copyPartStep(ports, part(1, 0), newCall())).toMatchObject({ copied: 1, more: false });
    expect((await there.resolve(root.digest)).digest).toBe(root.digest);
    const asked = to.log.filter(({ method, path }) => method === 'HEAD' && path.includes(layer.digest));
    expect(asked).toHaveLength(4);
    // Done again, it finds it.
    expect(await copyPartStep(ports, blob, newCall())).toMatchObject({ more: false, bytes: 0 });
    expect(patches(to)).toBe(9);
  });

  test('a process that dies in the middle costs a piece, not the blob', async () => {
    const [from, to] = [await registry(), await registry()];
    const { blob, layer } = await planned(from, { registry: to.name, repository: 'staging/large' });
    const stop = new AbortController();
    let pieces = 0;
    const call = {
      ...newCall(stop.signal),
      progress: { ...newCall().progress, bytes: () => void (++pieces === 2 && stop.abort(new Error('killed'))) },
    };
    await expect(copyPartStep(ports, blob, call)).rejects.toThrow('killed');
    let calls = 0;
    while ((await copyPartStep(ports, blob, newCall())).more) calls += 1;
    expect(calls).toBe(2);
    expect(await client.repository(to.name, 'staging/large').hasBlob(layer)).toBe(true);
    expect(patches(to)).toBeLessThanOrEqual(10);
  });

  test('two calls at once on one upload get in each other’s way, and the blob is there in the end', async () => {
    const [from, to] = [await registry(), await registry()];
    const { blob, layer } = await planned(from, { registry: to.name, repository: 'staging/large' });
    await copyPartStep(ports, blob, newCall());
    await Promise.allSettled([copyPartStep(ports, blob, newCall()), copyPartStep(ports, blob, newCall())]);
    for (let calls = 0; (await copyPartStep(ports, blob, newCall())).more; calls += 1) expect(calls).toBeLessThan(5);
    expect(await client.repository(to.name, 'staging/large').hasBlob(layer)).toBe(true);
  });

  test('a registry that loses uploads: begun anew', async () => {
    const [from, to] = [await registry(), await registry({ loseEveryNthUpload: 11 })];
    const { blob, layer } = await planned(from, { registry: to.name, repository: 'staging/large' });
    // Of the first upload only this much is kept; the next ten pieces come, and the eleventh finds its upload gone.
    await copyPartStep(ports, blob, newCall());
    await rm(join(folder, '1', 'uploads'), { recursive: true });
    await mkdir(join(folder, '1', 'uploads'));
    let restarts = 0;
    for (let more = true; more;) {
      ({ more } = await copyPartStep(ports, blob, newCall()));
      restarts = Math.max(restarts, (upload(blob) as { restarts: number }).restarts);
    }
    expect(restarts).toBe(2);
    expect(await client.repository(to.name, 'staging/large').hasBlob(layer)).toBe(true);
  });

  test('a kept upload that another version wrote is not believed', async () => {
    const [from, to] = [await registry(), await registry()];
    const { blob } = await planned(from, { registry: to.name, repository: 'staging/large' });
    await world.documents.put('documents', `${blob.part}.upload`, Buffer.from('{"place":"elsewhere"}'));
    expect(await copyPartStep(ports, blob, newCall())).toMatchObject({ more: true, bytes: STRETCH });
  });

  test('a source whose bytes are others than the digest says: the destination refuses them at the end', async () => {
    const [from, to] = [await registry(), await registry()];
    const { blob } = await planned(from, { registry: to.name, repository: 'staging/large' });
    const broken: Ports = {
      ...ports,
      registries: {
        repository: (name, repository) => {
          const real = client.repository(name, repository);
          return {
            ...real,
            openBlob: async (descriptor, options) => {
              const body = await real.openBlob(descriptor, options);
              return (async function* () {
                for await (const chunk of body) yield chunk.map((byte) => byte ^ 1);
              })();
            },
          };
        },
      },
    };
    await copyPartStep(broken, blob, newCall());
    await copyPartStep(broken, blob, newCall());
    await expect(copyPartStep(broken, blob, newCall())).rejects.toMatchObject({
      code: 'DIGEST_INVALID',
      transient: false,
    });
  });

  test('in one registry it is mounted', async () => {
    const from = await registry();
    const { blob } = await planned(from, { registry: from.name, repository: 'staging/large' });
    expect(await copyPartStep(ports, blob, newCall())).toMatchObject({ mounted: 1, more: false, bytes: 0 });
    expect(patches(from)).toBe(0);
  });
});

describe('the plan of a large graph', () => {
  const FROM = { registry: REGISTRY, repository: SOURCE.repository };
  const TO = { registry: 'other.azurecr.io', repository: 'staging/app' };
  const input = async (of: World) => ({
    runId: 'r1',
    source: FROM,
    root: (await of.registries.repository(REGISTRY, SOURCE.repository).resolve('v1')).digest,
    recursive: true,
    excludeArtifactTypes: [],
    destination: TO,
  });
  async function prepared(): Promise<World> {
    const made = newWorld();
    made.copyParts = { bytes: 4 * 1024 * MIB, nodes: 6 };
    const repository = made.registries.repository(REGISTRY, SOURCE.repository);
    const subject = await pushImage(repository, { tag: 'v1' });
    for (let number = 0; number < 7; number += 1)
      await pushArtifact(repository, `application/x-${number}`, { subject });
    return made;
  }

  test('parts are documents of their own; the whole plan carries no manifests', async () => {
    const made = await prepared();
    const plan = await planCopyStep(made, await input(made), newCall());
    if (plan.state !== 'planned' || plan.parts === undefined) throw new Error('it is small');
    const { folder: of, waves } = plan.parts;
    expect(waves.length).toBeGreaterThan(1);
    const kept = [...made.documents.kept].map(([name, bytes]) => [name, Buffer.from(bytes).toString()] as const);
    const parts = kept.filter(([name]) => name.startsWith(`documents/${of}/`));
    expect(parts).toHaveLength(waves.reduce((a, b) => a + b, 0));
    expect(parts.every(([, text]) => text.includes('"bytes"') || text.includes('"blobs"'))).toBe(true);
    expect(kept.find(([name]) => name === 'documents/plans/r1.json')?.[1]).not.toContain('"bytes"');
    // The same again is the same; another source gives it other names.
    expect(await planCopyStep(made, await input(made), newCall())).toEqual(plan);
    const repository = made.registries.repository(REGISTRY, SOURCE.repository);
    await pushArtifact(repository, 'application/x-new', { subject: await repository.resolve('v1') });
    const other = await planCopyStep(made, await input(made), newCall());
    expect(other).not.toMatchObject({ parts: { folder: of } });
  });

  test('a crash at any call of plan and parts, and again: all is there, once', async () => {
    const calls = await breakEverywhere(
      async () => ({ world: await prepared(), given: undefined }),
      async (broken) => {
        const plan = await planCopyStep(broken, await input(broken), newCall());
        if (plan.state !== 'planned' || plan.parts === undefined) throw new Error('it is small');
        for (const [wave, count] of plan.parts.waves.entries()) {
          for (let index = 0; index < count; index += 1) {
            const part = partName(plan.parts.folder, wave, index);
            const answer = await copyPartStep(
              broken,
              { runId: 'r1', part, label: `${wave}.${index}`, source: FROM, destination: TO },
              newCall(),
            );
            expect(answer.more).toBe(false);
          }
        }
      },
      async (broken, _given, where) => {
        const there = broken.registries.repository(TO.registry, TO.repository);
        const wanted = broken.registries.repository(REGISTRY, SOURCE.repository);
        expect([where, [...there.manifests.keys()].sort()]).toEqual([where, [...wanted.manifests.keys()].sort()]);
      },
    );
    expect(calls).toBeGreaterThan(20);
  });
});
