import { expect } from '@jest/globals';
import { availableParallelism, loadavg } from 'node:os';
import { gzipSync } from 'node:zlib';
import {
  OCI_IMAGE_CONFIG,
  OCI_IMAGE_MANIFEST,
  digestOf,
  type Descriptor,
  type Repository,
} from '../../../src/oci/index.js';
import { npmPackage, tarOf, type Entry } from '../../support/sbom-image.js';
import { LINUX, pushBlob, pushImage, pushText } from './push.js';
import type { Row } from './row.js';
import type { Pushed, Stage } from './stage.js';

const TAG = 'v1';
/** Longest that `GET /api/health` may take while an attack is worked on, in milliseconds: seconds, not the 49 of before. */
const HEALTH_MS = 8_000;
/** Longest until a neighbour's image is in staging meanwhile, in milliseconds. */
const NEIGHBOUR_MS = 60_000;
/** Runnable threads for each processor: how much longer all takes on a busy machine. */
const busy = (): number => Math.max(1, (loadavg()[0] ?? 0) / availableParallelism());

/** An image of one layer, whose config says what the layer unpacks to. */
async function pushLayer(at: Repository, packed: Uint8Array, diffId: string, mediaType: string): Promise<Descriptor> {
  const config = {
    created: '2026-01-02T03:04:05Z',
    ...LINUX,
    config: {},
    rootfs: { type: 'layers', diff_ids: [diffId] },
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_IMAGE_MANIFEST,
    config: await pushBlob(at, OCI_IMAGE_CONFIG, JSON.stringify(config)),
    layers: [await pushBlob(at, mediaType, packed)],
  };
  return pushText(at, JSON.stringify(manifest), OCI_IMAGE_MANIFEST, TAG);
}

async function pushEntries(at: Repository, entries: Entry[]): Promise<Descriptor> {
  const tar = await tarOf(entries);
  return pushLayer(at, gzipSync(tar), digestOf(tar), 'application/vnd.oci.image.layer.v1.tar+gzip');
}

function paragraphs(count: number, nameOf: (index: number) => string): Entry {
  const text = Array.from(
    { length: count },
    (_, index) => `Package: ${nameOf(index)}\nStatus: install ok installed\nVersion: 1\n`,
  ).join('\n');
  return ['var/lib/dpkg/status', text];
}

/** A name that differs from the others in case only. */
function inCase(index: number): string {
  return Array.from({ length: 16 }, (_, bit) => (((index >> bit) & 1) === 1 ? 'A' : 'a')).join('');
}

function places(count: number): Entry[] {
  return Array.from({ length: count }, (_, place) =>
    npmPackage(`app${place}/node_modules/a`, 'a', '1.0.0', {
      licenses: Array.from({ length: 20 }, (__, index) => `L${place}-${index}`),
    }),
  );
}

/** zstd blocks that repeat one byte: four bytes for each 128 KiB, 8 GiB in all. */
function bomb(): Buffer {
  const blocks = 65_536;
  const bytes = Buffer.alloc(6 + 4 * blocks);
  bytes.write('28b52ffd0038', 'hex');
  for (let block = 0; block < blocks; block += 1) {
    const isLast = block === blocks - 1;
    bytes.writeUIntLE(128 * 1024 * 8 + 2 + (isLast ? 1 : 0), 6 + 4 * block, 3);
  }
  return bytes;
}

/** Asks for the app's health again and again, and promotes a neighbour's image, until the attack has ended. */
async function othersGoOn(stage: Stage, attack: Pushed): Promise<void> {
  const over = new AbortController();
  let longestMs = 0;
  const watching = (async () => {
    while (!over.signal.aborted) {
      const startedMs = performance.now();
      const answer = await fetch(`${stage.up.hostUrl}/api/health`);
      expect(answer.status).toBe(200);
      longestMs = Math.max(longestMs, performance.now() - startedMs);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  })();
  try {
    const repository = `${attack.repository}-neighbour`;
    const startedMs = performance.now();
    const root = await pushImage(stage.source(repository), { tag: TAG, contains: 'left-pad' });
    await stage.expectPromoted({ repository, tag: TAG, root, images: [{ image: root, contains: 'left-pad' }] });
    expect(performance.now() - startedMs).toBeLessThan(busy() * NEIGHBOUR_MS);
    await stage.ended(attack);
  } finally {
    over.abort();
    await watching;
  }
  expect(longestMs).toBeLessThan(busy() * HEALTH_MS);
}

/** It is promoted: what it holds is only odd. Its SBOM names what it holds. */
const promotedMeanwhile: Row['demand'] = async (stage, pushed) => {
  await othersGoOn(stage, pushed);
  await stage.expectPromoted(pushed);
};

export const rows: Row[] = [
  {
    statement: '20,000 packages whose names differ in case only delay nobody',
    attack: async (_stage, at) => {
      const root = await pushEntries(at, [paragraphs(20_000, inCase)]);
      return { tag: TAG, root, images: [{ image: root, contains: inCase(12_345) }] };
    },
    demand: promotedMeanwhile,
    twin: async (_stage, at) => {
      const root = await pushEntries(at, [paragraphs(200, (index) => `package-${index}`)]);
      return { tag: TAG, root, images: [{ image: root, contains: 'package-123' }] };
    },
  },
  {
    statement: 'one package in 4,000 places with new licences each time delays nobody',
    attack: async (_stage, at) => {
      const root = await pushEntries(at, places(4000));
      return { tag: TAG, root, images: [{ image: root, contains: 'a' }] };
    },
    demand: promotedMeanwhile,
    twin: async (_stage, at) => {
      const root = await pushEntries(at, places(4));
      return { tag: TAG, root, images: [{ image: root, contains: 'a' }] };
    },
  },
  {
    statement: 'a layer of 264 KB that unpacks to 8 GiB ends as SBOM_LIMIT, and delays nobody',
    attack: async (_stage, at) => ({
      tag: TAG,
      root: await pushLayer(at, bomb(), `sha256:${'0'.repeat(64)}`, 'application/vnd.oci.image.layer.v1.tar+zstd'),
    }),
    demand: async (stage, pushed) => {
      await othersGoOn(stage, pushed);
      await stage.expectRefused(pushed, 'SBOM_LIMIT', 'failed');
    },
    twin: async (_stage, at) => {
      const root = await pushEntries(at, [
        ['zeros', Buffer.alloc(64 * 1024 * 1024)],
        npmPackage('app/node_modules/left-pad', 'left-pad', '1.0.0'),
      ]);
      return { tag: TAG, root, images: [{ image: root, contains: 'left-pad' }] };
    },
  },
];
