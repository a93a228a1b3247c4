import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { QueueClient } from '@azure/storage-queue';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import {
  basicCredentials,
  createRegistries,
  pushPacked,
  packArtifact,
  type Descriptor,
  type RegistryRepository,
} from '../../src/oci/index.js';
import { SBOM_MEDIA_TYPES } from '../../src/sbom/index.js';
import { NOTARY_SIGNATURE } from '../../src/signing/index.js';
import { startEverything, until, type Everything } from '../support/stack/everything.js';
import { pushImage } from './trust/push.js';

// A source whose reads of tags, manifests and lists learn of each write later than its events do, as another region of a geo-replicated
// registry. Everything else is as in Azure: the app's functions run on the local host.

const LATE_MS = 5_000;
const REPORT = 'application/x-report';
const NAME = 'late/app';

let up: Everything;
let registries: ReturnType<typeof createRegistries>;
let source: RegistryRepository;
let staging: RegistryRepository;
let tags: WatchedTag;

async function begin(quirks: readonly string[], triggers: readonly string[]): Promise<void> {
  up = await startEverything({
    schedule: '0 * * * * *',
    args: ['--source-quirks', `lateReadsMs=${LATE_MS}`, ...quirks],
    rules: (at) => ({
      rules: [
        {
          name: 'late',
          existing: 'promote',
          triggers,
          source: { registry: at.source, repositories: ['late/**'], tags: ['v*'] },
          destination: { reference: `${at.staging}/staging/{repository}:{tag}` },
        },
      ],
    }),
  });
  const { name, password } = up.user;
  registries = createRegistries({ credentials: basicCredentials(name, password, [up.source, up.staging]) });
  source = registries.repository(up.source, NAME);
  staging = registries.repository(up.staging, `staging/${NAME}`);
  tags = watchTag();
}

async function end(): Promise<void> {
  await tags?.stop();
  await registries?.close();
  await up?.stop();
}

async function standing(): Promise<string | undefined> {
  return (await staging.resolve('v1').catch(() => undefined))?.digest;
}

interface WatchedTag {
  /** Reads the tag once more, and answers what it was: each change once. */
  stop(): Promise<readonly string[]>;
}

/** Reads the destination's tag again and again, one read after the other. */
function watchTag(): WatchedTag {
  const seen: string[] = [];
  const stopping = new AbortController();
  const watching = (async () => {
    for (let last = false; !last;) {
      last = stopping.signal.aborted;
      const digest = await standing();
      if (digest !== undefined && digest !== seen.at(-1)) seen.push(digest);
      if (!last) await setTimeout(200, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  })();
  return {
    async stop() {
      stopping.abort();
      await watching;
      return seen;
    },
  };
}

const arrives = (digest: string, withinMs = 150_000): Promise<true> =>
  until(`${digest} in staging`, async () => ((await standing()) === digest ? true : undefined), withinMs);

async function atRest(): Promise<void> {
  await until('the promotion to be at rest', async () => {
    const row = await up.promotion(NAME, 'v1');
    return row?.runOpen === false && row.generation === row.observedGeneration ? true : undefined;
  });
}

/** Moves the tag. The bytes are ours: a read would not have them yet. */
async function move({ bytes, mediaType }: Pushed): Promise<void> {
  await source.pushManifest(bytes, mediaType, { tag: 'v1' });
}

interface Pushed {
  digest: Descriptor['digest'];
  bytes: Uint8Array;
  mediaType: string;
}

/** An image that every read has by now, under another tag. */
async function prepare(contains: string): Promise<Pushed> {
  const { digest } = await pushImage(source, { tag: `prepared-${contains}`, contains });
  return until(`${contains} to be there`, async () => {
    const fetched = await source.fetchManifest(digest).catch(() => undefined);
    return fetched && { digest, bytes: fetched.bytes, mediaType: fetched.descriptor.mediaType };
  });
}

const count = async (digest: Descriptor['digest'], artifactType: string): Promise<number> =>
  (await staging.listReferrers(digest, { artifactType })).length;

describe('with late reads', () => {
  beforeAll(() => begin([], ['push']), 120_000);
  afterAll(end, 60_000);

  test('events alone promote pushes, a move back and referrers; no tag moves back and no SBOM is made twice', async () => {
    const [first, second] = [await prepare('left-pad'), await prepare('right-pad')];
    await move(first);
    await arrives(first.digest);
    await move(second);
    await arrives(second.digest);
    // The event of the push before, once more, and a referrer that is not listed yet.
    const connection = await readFile(join(up.dataDir, 'storage-connection-string.txt'), 'utf8');
    const late = {
      id: 'late',
      eventType: 'Microsoft.ContainerRegistry.ImagePushed',
      eventTime: new Date(Date.now() - 60_000).toISOString(),
      data: { target: { repository: NAME, tag: 'v1', digest: first.digest }, request: { host: up.source } },
    };
    const text = Buffer.from(JSON.stringify(late)).toString('base64');
    await new QueueClient(connection.trim(), 'registry-events').sendMessage(text);
    const { mediaType, digest, bytes } = second;
    const subject = { mediaType, digest, size: bytes.length };
    const report = packArtifact({ artifactType: REPORT, layers: [], subject });
    await pushPacked(source, report);
    await until('the report in staging', async () => ((await count(digest, REPORT)) === 1 ? true : undefined));
    await move(first);
    await arrives(first.digest);
    await atRest();
    expect(await tags.stop()).toEqual([first.digest, second.digest, first.digest]);
    for (const image of [first, second]) {
      expect(await count(image.digest, SBOM_MEDIA_TYPES.cyclonedx)).toBe(1);
      expect(await count(image.digest, NOTARY_SIGNATURE)).toBe(1);
    }
  }, 500_000);
});

// Each of its pushes waits for a tick of the schedule: in the full run.
if (process.env.FULL === '1') {
  describe('with late reads and without events', () => {
    beforeAll(() => begin(['loseEvents'], ['push', 'schedule']), 120_000);
    afterAll(end, 60_000);

    test('the schedule promotes what changed', async () => {
      const [first, second] = [await prepare('left-pad'), await prepare('right-pad')];
      await move(first);
      await arrives(first.digest, 200_000);
      await move(second);
      await arrives(second.digest, 200_000);
      await atRest();
      expect(await tags.stop()).toEqual([first.digest, second.digest]);
      expect(await count(second.digest, SBOM_MEDIA_TYPES.cyclonedx)).toBe(1);
    }, 600_000);
  });
}
