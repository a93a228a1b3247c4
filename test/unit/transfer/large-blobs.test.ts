import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
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
import { type CopyRequest, copyStep } from '../../../src/transfer/copy.js';
import type { Ports } from '../../../src/ports/ports.js';
import type { StepCall, StepReply } from '../../../src/ports/step.js';
import { heldBuffers } from '../../support/held-buffers.js';
import { newCall, newWorld, type World } from '../../support/world.js';

// Blobs that one call may have too little time for are moved in pieces.

const PIECE = 256 * 1024;
const LAYER = Buffer.alloc(8 * PIECE + 5, 'a layer that one call has no time for');
const CONFIG = Buffer.from('{}');
const runId = 'r1';

let folder: string;
let client: RegistryClient;
let up: RunningRegistry[] = [];
let world: World;
let ports: Ports;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'large-blobs-'));
  client = createRegistries({
    credentials: anonymousCredentials,
    uploads: { chunkBytes: PIECE },
    retry: { baseMs: 1 },
  });
  world = newWorld();
  ports = { ...world, registries: client, callBounds: { ...world.callBounds, largeBlobBytes: 4 * PIECE } };
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

interface Copied {
  request: CopyRequest;
  layer: Descriptor;
  root: Descriptor;
  /** Where it goes. */
  there: Repository;
}

/** An image with one large layer at the source, to be copied. */
async function pushed(from: RunningRegistry, to: RunningRegistry, content = LAYER): Promise<Copied> {
  const source = { registry: from.name, repository: 'samples/large' };
  const destination = { registry: to.name, repository: 'staging/large' };
  const repository = client.repository(source.registry, source.repository);
  const config = await pushBlob(repository, OCI_IMAGE_CONFIG, CONFIG);
  const layer = await pushBlob(repository, 'application/vnd.oci.image.layer.v1.tar', content);
  const bytes = encodeManifest({ schemaVersion: 2, mediaType: OCI_IMAGE_MANIFEST, config, layers: [layer] });
  const root = await repository.pushManifest(bytes, OCI_IMAGE_MANIFEST, { tag: 'v1' });
  const request = { source, root: 'v1', recursive: true, excludeArtifactTypes: [], destination, receipt: true };
  return { request, layer, root, there: client.repository(to.name, destination.repository) };
}
const copy = ({ request }: Copied, call: StepCall = newCall(), of: Ports = ports): Promise<StepReply<unknown>> =>
  copyStep(of, request, { runId }, call);
/** A call that dies, or whose time is over, after so many pieces. */
async function brokenOff(copied: Copied, pieces: number, of: Ports = ports): Promise<void> {
  const stop = new AbortController();
  let moved = 0;
  const progress = { ...newCall().progress, bytes: () => void (++moved === pieces && stop.abort(new Error('killed'))) };
  await expect(copy(copied, { ...newCall(stop.signal), progress }, of)).rejects.toThrow('killed');
}
/** Kept of the upload by the newest document that says something of it. */
function upload(layer: Descriptor): { receivedBytes: number; restarts: number } | undefined {
  const said = [...world.documents.kept]
    .filter(([name]) => name.startsWith('documents/plans/r1/copy/') && name.endsWith('.jsonl'))
    .flatMap(([, bytes]) => Buffer.from(bytes).toString().trim().split('\n'))
    .map((line) => JSON.parse(line) as { question: string; answer: { json: { upload?: never } } });
  return said.findLast(({ question }) => question === `upload ${layer.digest}`)?.answer.json.upload;
}
const patches = (of: RunningRegistry | undefined): number =>
  of?.log.filter(({ method }) => method === 'PATCH').length ?? 0;

describe('a blob that is too large for one call', () => {
  test('is copied in chunks; a call ends after a chunk when its time is over, and the next call continues', async () => {
    const copied = await pushed(await registry(), await registry());
    const hasty = { ...ports, callBounds: { ...ports.callBounds, ms: 300 } };
    let calls = 0;
    const seen: [number, number][] = [];
    const now = performance.now.bind(performance);
    let laterMs = 0;
    const clock = jest.spyOn(performance, 'now').mockImplementation(() => now() + laterMs);
    const slow = {
      ...newCall().progress,
      bytes: (done: number, all: number) => {
        seen.push([done, all]);
        // Each piece takes a third of the time that a call has.
        laterMs += 100;
      },
    };
    let reply: StepReply<unknown>;
    do {
      reply = await copy(copied, { ...newCall(), progress: slow }, hasty);
      calls += 1;
    } while (!('done' in reply) && calls < 30);
    clock.mockRestore();
    const bytes = LAYER.length + CONFIG.length + copied.root.size;
    expect(reply).toMatchObject({ done: { state: 'copied', copied: 3, existed: 0, mounted: 0, bytes } });
    expect(calls).toBeGreaterThan(2);
    expect(patches(up[1])).toBe(9);
    expect(seen).toContainEqual([LAYER.length, expect.any(Number)]);
    expect(await copied.there.hasBlob(copied.layer)).toBe(true);
    expect((await copied.there.resolve(copied.root.digest)).digest).toBe(copied.root.digest);
  });

  test('is not copied if it is there already', async () => {
    const copied = await pushed(await registry(), await registry());
    await copy(copied);
    expect(patches(up[1])).toBe(9);
    await world.documents.removeAll('documents', 'plans/');
    expect(await copy(copied)).toMatchObject({ done: { copied: 0, bytes: 0 } });
    expect(patches(up[1])).toBe(9);
  });

  test.each([1, 2, 5])('is not copied again up to chunk %i if the process dies', async (pieces) => {
    const copied = await pushed(await registry(), await registry());
    await brokenOff(copied, pieces);
    expect(upload(copied.layer)).toMatchObject({ receivedBytes: pieces * PIECE, restarts: 0 });
    const bytes = LAYER.length + CONFIG.length + copied.root.size;
    expect(await copy(copied)).toMatchObject({ done: { copied: 3, existed: 0, bytes } });
    expect(await copied.there.hasBlob(copied.layer)).toBe(true);
    expect(patches(up[1])).toBe(9);
  });

  test('may take eight processes that die after a chunk each', async () => {
    const copied = await pushed(await registry(), await registry());
    for (let times = 0; times < 8; times += 1) await brokenOff(copied, 2);
    expect(await copy(copied)).toMatchObject({ done: { state: 'copied', copied: 3 } });
    expect(patches(up[1])).toBeLessThanOrEqual(17);
  });

  test('is copied even if two calls use one upload, one of which stops', async () => {
    const copied = await pushed(await registry(), await registry());
    await brokenOff(copied, 3);
    await Promise.allSettled([copy(copied), copy(copied)]);
    for (let calls = 0; !('done' in (await copy(copied))); calls += 1) expect(calls).toBeLessThan(5);
    expect(await copied.there.hasBlob(copied.layer)).toBe(true);
    expect((await copied.there.resolve(copied.root.digest)).digest).toBe(copied.root.digest);
  });

  test('is uploaded anew if the registry loses the upload', async () => {
    const copied = await pushed(await registry(), await registry({ loseEveryNthUpload: 11 }));
    // Of the first upload only this much is kept; the next ten pieces come, and the eleventh finds its upload gone.
    await brokenOff(copied, 4);
    await rm(join(folder, '1', 'uploads'), { recursive: true });
    await mkdir(join(folder, '1', 'uploads'));
    expect(await copy(copied)).toMatchObject({ done: { state: 'copied' } });
    expect(await copied.there.hasBlob(copied.layer)).toBe(true);
    // Four that were lost, ten that were lost with the second upload, and all nine of the third.
    expect(patches(up[1])).toBeGreaterThanOrEqual(4 + 9);
  });

  test('fails if the upload is lost too often, and the next call starts another', async () => {
    const copied = await pushed(await registry(), await registry());
    for (let lost = 0; lost < 4; lost += 1) {
      await brokenOff(copied, 1);
      await rm(join(folder, '1', 'uploads'), { recursive: true });
      await mkdir(join(folder, '1', 'uploads'));
    }
    await expect(copy(copied)).rejects.toMatchObject({ code: 'UPLOAD_LOST' });
    expect(await copy(copied)).toMatchObject({ done: { state: 'copied' } });
    expect(await copied.there.hasBlob(copied.layer)).toBe(true);
  });

  test('is uploaded anew if another version stored the upload', async () => {
    const copied = await pushed(await registry(), await registry());
    await brokenOff(copied, 3);
    for (const [name, bytes] of world.documents.kept) {
      if (!name.endsWith('.jsonl')) continue;
      const other = Buffer.from(bytes)
        .toString()
        .replace(/"upload":\{[^}]*\}/, '"upload":{"place":"elsewhere"}');
      await world.documents.put('documents', name.slice('documents/'.length), Buffer.from(other));
    }
    expect(await copy(copied)).toMatchObject({ done: { state: 'copied' } });
    expect(await copied.there.hasBlob(copied.layer)).toBe(true);
  });

  test('is copied in chunks after a call that took too long, also below the size limit', async () => {
    const copied = await pushed(await registry(), await registry(), LAYER.subarray(0, 4 * PIECE));
    // The source is so slow that a call has time for three quarters of the layer.
    const slow = (stop: AbortController): Ports => {
      let leftBytes = 3 * PIECE;
      const repository: Ports['registries']['repository'] = (name, path) => {
        const real = client.repository(name, path);
        const openBlob: Repository['openBlob'] = async (descriptor, options) => {
          const body = await real.openBlob(descriptor, options);
          return (async function* () {
            for await (const chunk of body) {
              leftBytes -= chunk.length;
              if (leftBytes < 0) stop.abort(new Error('its time is over'));
              stop.signal.throwIfAborted();
              yield chunk;
            }
          })();
        };
        return { ...real, openBlob };
      };
      return { ...ports, registries: { repository } };
    };
    const outcomes: unknown[] = [];
    while (outcomes.length < 10 && !outcomes.some((reply) => typeof reply === 'object')) {
      const stop = new AbortController();
      const reply = copy(copied, newCall(stop.signal), slow(stop));
      outcomes.push(await reply.catch((error: unknown) => (error instanceof Error ? error.message : '')));
    }
    expect(outcomes.at(-1)).toMatchObject({ done: { state: 'copied' } });
    expect(outcomes.slice(0, -1).every((outcome) => outcome === 'its time is over')).toBe(true);
    expect(await copied.there.hasBlob(copied.layer)).toBe(true);
  });

  test('is refused by the destination if its bytes do not match the digest', async () => {
    const copied = await pushed(await registry(), await registry());
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
    await expect(copy(copied, newCall(), broken)).rejects.toMatchObject({ code: 'DIGEST_INVALID', transient: false });
  });

  test('is mounted within one registry', async () => {
    const from = await registry();
    const copied = await pushed(from, from);
    expect(await copy(copied)).toMatchObject({ done: { copied: 1, mounted: 2 } });
    expect(patches(from)).toBe(0);
  });

  test('of any size takes the memory of a few chunks', async () => {
    const size = 128 * PIECE;
    const copied = await pushed(await registry(), await registry(), Buffer.alloc(size, 'much'));
    const held = heldBuffers();
    let [most, pieces] = [0, 0];
    const bytes = (): void => {
      pieces += 1;
      if (pieces % 16 === 0) most = Math.max(most, held());
    };
    const progress = { ...newCall().progress, bytes };
    expect(await copy(copied, { ...newCall(), progress })).toMatchObject({ done: { copied: 3 } });
    expect(pieces).toBeGreaterThanOrEqual(128);
    // Bytes on their way through both registries included.
    expect(most).toBeLessThan((size * 3) / 4);
  });
});
