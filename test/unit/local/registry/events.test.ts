import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import {
  atEnd,
  cleanUpAfterEach,
  IMAGE,
  putBlob,
  putImage,
  sender,
  start,
  temporaryFolder,
  until,
} from '../../../support/registry-harness.js';

cleanUpAfterEach();

interface Delivery {
  url: string;
  headers: NodeJS.Dict<string | string[]>;
  body: unknown;
}

/** A receiver of events that answers the nth one with `status(n)`. */
async function receiver(status: (nth: number) => number = () => 202, port = 0) {
  const deliveries: Delivery[] = [];
  const server = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
      const body = JSON.parse(Buffer.concat(chunks).toString()) as unknown;
      deliveries.push({ url: request.url ?? '', headers: request.headers, body });
      response.writeHead(status(deliveries.length)).end();
    })();
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const close = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
  atEnd(close);
  const address = server.address() as AddressInfo;
  return { deliveries, url: `http://127.0.0.1:${address.port}`, port: address.port, close };
}

const idOf = ({ body }: Delivery) => (body as { id: string }[])[0]?.id;

describe('push events', () => {
  test('a push is reported in the Event Grid schema to the function of the host', async () => {
    const { deliveries, url } = await receiver();
    const registry = await start({ eventsUrl: url, name: 'demo.example:5100' });
    const { digest, text } = await putImage(sender(registry), 'samples/app', 'v1');
    await until(() => deliveries.length === 1 && registry.waitingEvents === 0);
    const [delivery] = deliveries;
    expect(delivery?.url).toBe('/runtime/webhooks/EventGrid?functionName=onRegistryEvent');
    expect(delivery?.headers['aeg-event-type']).toBe('Notification');
    expect(delivery?.headers['content-type']).toBe('application/json; charset=utf-8');
    const anything: unknown = expect.any(String);
    expect(delivery?.body).toEqual([
      {
        id: anything,
        topic: expect.stringMatching(/^\/subscriptions\/.*\/Microsoft.ContainerRegistry\/registries\/demo$/) as unknown,
        subject: 'samples/app:v1',
        eventType: 'Microsoft.ContainerRegistry.ImagePushed',
        eventTime: anything,
        dataVersion: '1.0',
        metadataVersion: '1',
        data: {
          id: anything,
          timestamp: anything,
          action: 'push',
          location: anything,
          target: {
            mediaType: IMAGE,
            size: text.length,
            digest,
            length: text.length,
            repository: 'samples/app',
            tag: 'v1',
          },
          request: { id: anything, host: 'demo.example:5100', method: 'PUT', useragent: anything },
        },
      },
    ]);
  });

  test('a push is reported as a CloudEvent to a full URL', async () => {
    const { deliveries, url } = await receiver();
    const registry = await start({ eventsUrl: `${url}/hook?code=k`, eventSchema: 'cloudevents' });
    const { digest } = await putImage(sender(registry), 'app', 'v1');
    await until(() => deliveries.length === 1);
    expect(deliveries[0]?.url).toBe('/hook?code=k');
    expect(deliveries[0]?.headers['content-type']).toBe('application/cloudevents+json; charset=utf-8');
    expect(deliveries[0]?.body).toMatchObject({
      specversion: '1.0',
      type: 'Microsoft.ContainerRegistry.ImagePushed',
      subject: 'app:v1',
      source: expect.stringContaining('/registries/') as unknown,
      data: { action: 'push', target: { digest, tag: 'v1' } },
    });
  });

  test('untagged pushes, charts and deletes are reported', async () => {
    const { deliveries, url } = await receiver();
    const registry = await start({ eventsUrl: url });
    const send = sender(registry);
    const { digest, text } = await putImage(send, 'app', 'digest');
    const subject = { mediaType: IMAGE, digest, size: text.length };
    await putImage(send, 'app', 'digest', { subject });
    const config = {
      ...(await putBlob(send, 'charts/web', '{}')),
      mediaType: 'application/vnd.cncf.helm.config.v1+json',
    };
    await putImage(send, 'charts/web', '1.2.0', { config });
    await send('DELETE', `/v2/app/manifests/${digest}`);
    await until(() => deliveries.length === 5);
    const told = deliveries.map(({ body }) => (body as { eventType: string; data: { target: unknown } }[])[0]);
    const of = (type: string) => told.filter((event) => event?.eventType === `Microsoft.ContainerRegistry.${type}`);
    expect(of('ImagePushed').length).toBe(2);
    expect(JSON.stringify(of('ImagePushed'))).not.toContain('"tag"');
    expect(of('ChartPushed')).toMatchObject([
      { data: { action: 'chart_push', target: { name: 'web', version: '1.2.0' } } },
    ]);
    expect(of('ImageDeleted').length).toBe(2);
  });

  test('an event is delivered again until the receiver accepts it, and pushes do not wait', async () => {
    const { deliveries, url } = await receiver((nth) => (nth < 4 ? 500 : 202));
    const registry = await start({ eventsUrl: url, eventPausesMs: [5] });
    const { answer } = await putImage(sender(registry), 'app', 'v1');
    expect(answer.status).toBe(201);
    await until(() => registry.waitingEvents === 0);
    expect(deliveries.length).toBe(4);
    expect(new Set(deliveries.map(idOf)).size).toBe(1);
    expect(deliveries.map(({ headers }) => headers['aeg-delivery-count'])).toEqual(['0', '1', '2', '3']);
  });

  test('an undelivered event survives a restart of the registry', async () => {
    const gone = await receiver();
    await gone.close();
    const dataDir = await temporaryFolder();
    const before = await start({ dataDir, eventsUrl: gone.url, eventPausesMs: [20] });
    await Promise.all(['v1', 'v2', 'v3'].map(async (tag) => await putImage(sender(before), 'app', tag)));
    expect(before.waitingEvents).toBe(3);
    await before.close();
    const { deliveries } = await receiver(() => 200, gone.port);
    const after = await start({ dataDir, eventsUrl: gone.url });
    await until(() => after.waitingEvents === 0);
    expect(new Set(deliveries.map(idOf)).size).toBe(3);
  });

  test('an event that is refused permanently becomes a dead letter', async () => {
    const { url } = await receiver(() => 400);
    const dataDir = await temporaryFolder();
    const registry = await start({ dataDir, eventsUrl: url });
    const { digest } = await putImage(sender(registry), 'app', 'v1');
    await until(() => registry.waitingEvents === 0);
    const line = readFileSync(join(dataDir, 'dead-letters.jsonl'), 'utf8');
    expect(JSON.parse(line)).toMatchObject({ lastAnswer: 400, tries: 1, event: { data: { target: { digest } } } });
  });

  test('each of a hundred parallel pushes is reported', async () => {
    const { deliveries, url } = await receiver((nth) => (nth % 5 === 0 ? 503 : 202));
    const registry = await start({ eventsUrl: url, eventPausesMs: [5] });
    const send = sender(registry);
    await putImage(send, 'app', 'base');
    await Promise.all(
      Array.from(
        { length: 99 },
        async (_, index) => await putImage(send, 'app', `t${index}`, { annotations: { n: `${index}` } }),
      ),
    );
    await until(() => registry.waitingEvents === 0);
    expect(new Set(deliveries.map(idOf)).size).toBe(100);
  });
});
