import { createServer, type Server } from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { AddressInfo } from 'node:net';
import { EventGridDeserializer, isSystemEvent, type CloudEvent, type EventGridEvent } from '@azure/eventgrid';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startRegistry } from '../../local/registry/server.js';
import { anonymousCredentials, createRegistries, digestOf, OCI_IMAGE_MANIFEST } from '../../src/oci/index.js';

const PREFIX = 'Microsoft.ContainerRegistry.';
const HELM_CONFIG = 'application/vnd.cncf.helm.config.v1+json';

let folder: string;
let receiver: Server;
let received: string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'azure-events-'));
  receiver = createServer((request, response) => {
    void text(request).then((body) => {
      received.push(body);
      response.writeHead(200).end();
    });
  });
  await new Promise<void>((resolve) => {
    receiver.listen(0, '127.0.0.1', resolve);
  });
});

afterAll(async () => {
  receiver.close();
  receiver.closeAllConnections();
  await rm(folder, { recursive: true, force: true });
});

/** Pushes an image and a chart, deletes both. @returns what the receiver was sent, and the manifest of both */
async function eventsOf(
  schema: 'eventgrid' | 'cloudevents',
): Promise<{ bodies: string[]; size: number; host: string }> {
  received = [];
  const { port } = receiver.address() as AddressInfo;
  const eventsUrl = `http://127.0.0.1:${port}/hook`;
  const registry = await startRegistry({
    dataDir: join(folder, schema),
    anonymous: true,
    eventsUrl,
    eventSchema: schema,
  });
  const client = createRegistries({ credentials: anonymousCredentials });
  let size = 0;
  try {
    for (const [name, configType] of [
      ['samples/app', 'application/vnd.oci.image.config.v1+json'],
      ['charts/web', HELM_CONFIG],
    ] as const) {
      const repository = client.repository(registry.name, name);
      const bytes = Buffer.from('{}');
      const config = { mediaType: configType, digest: digestOf(bytes), size: bytes.length };
      await repository.pushBlob(config, async function* () {
        yield bytes;
      });
      const manifest = Buffer.from(
        JSON.stringify({ schemaVersion: 2, mediaType: OCI_IMAGE_MANIFEST, config, layers: [config] }),
      );
      size = manifest.length;
      const { digest } = await repository.pushManifest(manifest, OCI_IMAGE_MANIFEST, { tag: '1.2.0' });
      await repository.deleteManifest(digest);
    }
    for (const until = Date.now() + 60_000; received.length < 4 && Date.now() < until;) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  } finally {
    await client.close();
    await registry.close();
  }
  return { bodies: [...received], size, host: registry.name };
}

const byType = <T extends { type: string } | { eventType: string }>(events: T[], type: string): T | undefined =>
  events.find((event) => ('type' in event ? event.type : event.eventType) === `${PREFIX}${type}`);

test("Event Grid's own deserializer takes the events, in its schema, and knows their types", async () => {
  const { bodies, size, host } = await eventsOf('eventgrid');
  const deserializer = new EventGridDeserializer();
  const events: EventGridEvent<unknown>[] = [];
  for (const body of bodies) events.push(...(await deserializer.deserializeEventGridEvents(body)));
  expect(events.map(({ eventType }) => eventType).sort()).toEqual(
    ['ChartDeleted', 'ChartPushed', 'ImageDeleted', 'ImagePushed'].map((type) => PREFIX + type),
  );
  for (const { eventTime } of events) expect(eventTime).toBeInstanceOf(Date);
  const pushed = byType(events, 'ImagePushed');
  if (pushed === undefined || !isSystemEvent(`${PREFIX}ImagePushed`, pushed)) throw new Error('no image was pushed');
  const { action, target, request } = pushed.data;
  expect([action, target.repository, target.tag]).toEqual(['push', 'samples/app', '1.2.0']);
  expect([target.size, target.length, request.host, request.method]).toEqual([size, size, host, 'PUT']);
  const deleted = byType(events, 'ImageDeleted');
  if (deleted === undefined || !isSystemEvent(`${PREFIX}ImageDeleted`, deleted))
    throw new Error('no image was deleted');
  expect(deleted.data).toMatchObject({
    action: 'delete',
    target: { repository: 'samples/app', digest: target.digest },
  });
  const chart = byType(events, 'ChartPushed');
  if (chart === undefined || !isSystemEvent(`${PREFIX}ChartPushed`, chart)) throw new Error('no chart was pushed');
  expect(chart.data).toMatchObject({ action: 'chart_push', target: { size, name: 'web', version: '1.2.0' } });
  const chartDeleted = byType(events, 'ChartDeleted');
  if (chartDeleted === undefined || !isSystemEvent(`${PREFIX}ChartDeleted`, chartDeleted)) {
    throw new Error('no chart was deleted');
  }
  expect(chartDeleted.data).toMatchObject({ action: 'chart_delete', target: { name: 'web' } });
});

test('the SDK deserializes the events as CloudEvents, too', async () => {
  const { bodies } = await eventsOf('cloudevents');
  const deserializer = new EventGridDeserializer();
  const events: CloudEvent<unknown>[] = [];
  for (const body of bodies) events.push(...(await deserializer.deserializeCloudEvents(body)));
  expect(events).toHaveLength(4);
  const pushed = byType(events, 'ImagePushed');
  if (pushed === undefined || !isSystemEvent(`${PREFIX}ImagePushed`, pushed)) throw new Error('no image was pushed');
  expect(pushed).toMatchObject({ subject: 'samples/app:1.2.0', time: expect.any(Date) as unknown });
  expect(pushed.data?.target.tag).toBe('1.2.0');
});
