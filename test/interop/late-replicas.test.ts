import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import {
  anonymousCredentials,
  createRegistries,
  type Descriptor,
  type Digest,
  type RegistryClient,
  type RegistryRepository,
} from '../../src/oci/index.js';
import { pushImage } from '../support/images.js';
import { startEverything, until, type Everything } from './promotion/everything.js';

// The source answers as another region of a geo-replicated registry does: manifests, tags and lists learn of a push later.

const LATE_MS = 20_000;
const SBOM = 'application/vnd.cyclonedx+json';
const LONG_MS = 240_000;

let up: Everything;
let client: RegistryClient;
let source: RegistryRepository;
let staging: RegistryRepository;

beforeAll(async () => {
  up = await startEverything({
    anonymous: true,
    schedule: '0 * * * * *',
    args: ['--source-quirks', `lateReadsMs=${LATE_MS}`],
    rules: (registries) => ({
      rules: [
        {
          name: 'staging',
          existing: 'promote',
          source: { registry: registries.source, repositories: ['apps/**'] },
          destination: { reference: `${registries.staging}/staging/{repository}:{tag}` },
        },
      ],
    }),
  });
  client = createRegistries({ credentials: anonymousCredentials });
  source = client.repository(up.source, 'apps/app');
  staging = client.repository(up.staging, 'staging/apps/app');
}, LONG_MS);

afterAll(async () => {
  await client?.close();
  await up?.stop();
}, LONG_MS);

/** Sends an event of a push as Event Grid may do: late, and again. */
async function sendEvent({ digest, mediaType, size }: Descriptor, time: string): Promise<void> {
  const event = {
    id: randomUUID(),
    topic: '/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/r',
    subject: 'apps/app:v1',
    eventType: 'Microsoft.ContainerRegistry.ImagePushed',
    eventTime: time,
    dataVersion: '1.0',
    metadataVersion: '1',
    data: {
      id: randomUUID(),
      timestamp: time,
      action: 'push',
      target: { mediaType, digest, size, repository: 'apps/app', tag: 'v1' },
      request: { host: up.source },
    },
  };
  const answer = await fetch(`${up.hostUrl}/runtime/webhooks/EventGrid?functionName=onRegistryEvent`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'aeg-event-type': 'Notification' },
    body: JSON.stringify([event]),
  });
  expect(answer.status).toBeLessThan(300);
}

/** The digests that the destination's tag has had, one after the other. */
class Seen {
  readonly digests: (Digest | undefined)[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor() {
    this.#timer = setInterval(() => {
      void staging.resolve('v1').then(
        ({ digest }) => {
          if (this.digests.at(-1) !== digest) this.digests.push(digest);
        },
        () => undefined,
      );
    }, 100);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

const sboms = async (at: RegistryRepository, digest: Digest): Promise<number> =>
  (await at.listReferrers(digest)).filter(({ artifactType }) => artifactType === SBOM).length;

test(
  'each push arrives, the destination never goes back, and each image has one SBOM; late and repeated events change nothing',
  async () => {
    const seen = new Seen();
    try {
      const first = await pushImage(source, { tag: 'v1', content: 'first' });
      const firstAt = new Date().toISOString();
      await until('the first image', async () => (seen.digests.includes(first.digest) ? true : undefined), 150_000);
      const second = await pushImage(source, { tag: 'v1', content: 'second' });
      const secondAt = new Date().toISOString();
      for (let times = 0; times < 3; times += 1) await sendEvent(first, firstAt);
      await until('the second image', async () => (seen.digests.includes(second.digest) ? true : undefined), 150_000);
      await sendEvent(second, secondAt);
      await sendEvent(first, firstAt);
      // Until the replica has seen it all, and a tick has passed.
      await new Promise((resolve) => setTimeout(resolve, LATE_MS));
      await up.nextScan();
      await until('the promotion to be closed', async () => {
        const row = await up.promotion('apps/app', 'v1');
        return row?.runOpen === false ? true : undefined;
      });
      expect(seen.digests).toEqual([first.digest, second.digest]);
      for (const { digest } of [first, second]) {
        expect([digest, await sboms(source, digest), await sboms(staging, digest)]).toEqual([digest, 1, 1]);
      }
    } finally {
      seen.stop();
    }
  },
  2 * LONG_MS,
);
