import * as fc from 'fast-check';
import { describe, expect, test } from '@jest/globals';
import {
  parseRegistryEvent as parse,
  parseRegistryEventMessage as parseMessage,
} from '../../../src/messages/registry-event.js';
import { codeOf, problemPaths } from '../../support/codes.js';

const NONE = new Map<string, string>();
const parseRegistryEvent = (value: unknown) => parse(value, NONE);
const parseRegistryEventMessage = (value: unknown) => parseMessage(value, NONE);
const DIGEST = 'sha256:80f0d5c8786bb9e621a45ece0db56d11cdc624ad20da9fe62e9d25490f331d7d';
const TOPIC = '/subscriptions/11/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/DemoRegistry';

function data(changes: Record<string, unknown> = {}, target: Record<string, unknown> = {}) {
  return {
    id: 'c1',
    timestamp: '2026-04-25T21:39:47.6549614Z',
    action: 'push',
    location: 'westus',
    target: {
      mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
      size: 3023,
      digest: DIGEST,
      length: 3023,
      repository: 'aci-helloworld',
      tag: 'v1',
      ...target,
    },
    request: { id: 'r', host: 'demo.azurecr.io', method: 'PUT', useragent: 'docker' },
    ...changes,
  };
}
function eventGrid(changes: Record<string, unknown> = {}) {
  return {
    id: 'e1',
    topic: TOPIC,
    subject: 'aci-helloworld:v1',
    eventType: 'Microsoft.ContainerRegistry.ImagePushed',
    eventTime: '2026-04-25T21:39:47.6549614Z',
    data: data(),
    dataVersion: '1.0',
    metadataVersion: '1',
    ...changes,
  };
}
function cloudEvent(changes: Record<string, unknown> = {}) {
  return {
    id: 'e1',
    source: TOPIC,
    subject: 'aci-helloworld:v1',
    type: 'Microsoft.ContainerRegistry.ImagePushed',
    time: '2026-04-25T21:39:47.6549614Z',
    specversion: '1.0',
    data: data(),
    ...changes,
  };
}
function registryAt(host: string) {
  return parseRegistryEvent(eventGrid({ data: data({ request: { host } }) })).registry;
}
const pushed = {
  id: 'e1',
  kind: 'pushed',
  registry: 'demo.azurecr.io',
  repository: 'aci-helloworld',
  tag: 'v1',
  digest: DIGEST,
  mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
  time: '2026-04-25T21:39:47.6549614Z',
};

describe('parseRegistryEvent', () => {
  test('reads both schemas, alone and in a list of one', () => {
    for (const event of [eventGrid(), [eventGrid()], cloudEvent(), [cloudEvent()]]) {
      expect(parseRegistryEvent(event)).toEqual(pushed);
    }
  });

  test.each([
    ['Microsoft.ContainerRegistry.ImagePushed', 'pushed'],
    ['Microsoft.ContainerRegistry.ChartPushed', 'pushed'],
    ['Microsoft.ContainerRegistry.ImageDeleted', 'deleted'],
    ['Microsoft.ContainerRegistry.ChartDeleted', 'deleted'],
    ['ImagePushed', 'pushed'],
    ['ImageDeleted', 'deleted'],
  ])('%s is %s', (type, kind) => {
    expect(parseRegistryEvent(eventGrid({ eventType: type })).kind).toBe(kind);
    expect(parseRegistryEvent(cloudEvent({ type })).kind).toBe(kind);
  });

  test('a chart may have a name and a version in addition', () => {
    const target = { tag: 'mychart-1.0.0.tgz', name: 'mychart', version: '1.0.0' };
    const event = eventGrid({ eventType: 'Microsoft.ContainerRegistry.ChartPushed', data: data({}, target) });
    expect(parseRegistryEvent(event)).toMatchObject({ kind: 'pushed', tag: 'mychart-1.0.0.tgz' });
  });

  test('an optional field may be missing, null or empty', () => {
    for (const nothing of [undefined, null, '']) {
      const target = { tag: nothing, digest: nothing, mediaType: nothing, size: nothing, length: nothing };
      expect(parseRegistryEvent(eventGrid({ data: data({ location: nothing }, target) }))).toEqual({
        id: 'e1',
        kind: 'pushed',
        registry: 'demo.azurecr.io',
        repository: 'aci-helloworld',
        time: '2026-04-25T21:39:47.6549614Z',
      });
    }
  });

  test('the event of a connected registry has no request, so the host comes from the resource name', () => {
    const connected = data({ request: undefined, connectedRegistry: { name: 'factory' } });
    expect(parseRegistryEvent(eventGrid({ dataVersion: '2.0', data: connected })).registry).toBe(
      'demoregistry.azurecr.io',
    );
    expect(parseRegistryEvent(cloudEvent({ data: connected })).registry).toBe('demoregistry.azurecr.io');
    expect(problemPaths(() => parseRegistryEvent(eventGrid({ topic: undefined, data: connected })))).toEqual([
      'data.request.host',
    ]);
  });

  test('the host may have a port and is converted to lower case', () => {
    expect(registryAt('localhost:5100')).toBe('localhost:5100');
    expect(registryAt('Demo.AzureCR.io')).toBe('demo.azurecr.io');
  });

  test('the time is that of the event, or of its data if the event has none', () => {
    const time = '2026-05-01T00:00:00Z';
    expect(parseRegistryEvent(cloudEvent({ time: undefined, data: data({ timestamp: time }) })).time).toBe(time);
    const timeless = eventGrid({ eventTime: undefined, data: data({ timestamp: undefined }) });
    expect(problemPaths(() => parseRegistryEvent(timeless))).toEqual(['eventTime']);
  });

  test('events of other kinds and malformed events have different error codes', () => {
    for (const type of [
      'Microsoft.EventGrid.SubscriptionValidationEvent',
      'Microsoft.Storage.BlobCreated',
      'constructor',
    ]) {
      expect(codeOf(() => parseRegistryEvent(eventGrid({ eventType: type })))).toBe('UNKNOWN_EVENT_TYPE');
      expect(codeOf(() => parseRegistryEvent(cloudEvent({ type })))).toBe('UNKNOWN_EVENT_TYPE');
    }
  });

  test.each<[string, unknown, string]>([
    ['no object', 'x', 'eventType'],
    ['an empty list', [], 'eventType'],
    ['a list of two', [eventGrid(), eventGrid()], 'eventType'],
    ['no type', eventGrid({ eventType: undefined }), 'eventType'],
    ['an empty id', eventGrid({ id: '' }), 'id'],
    ['no data', eventGrid({ data: undefined }), 'data'],
    ['no target', eventGrid({ data: data({ target: null }) }), 'data.target'],
    ['a bad repository', eventGrid({ data: data({}, { repository: '../etc' }) }), 'data.target.repository'],
    ['a bad tag', eventGrid({ data: data({}, { tag: 'a b' }) }), 'data.target.tag'],
    ['a bad digest', eventGrid({ data: data({}, { digest: 'sha256:1' }) }), 'data.target.digest'],
    ['a bad host', eventGrid({ data: data({ request: { host: 'a/b' } }) }), 'data.request.host'],
    ['a bad time', eventGrid({ eventTime: 'yesterday' }), 'eventTime'],
    ['another CloudEvents version', cloudEvent({ specversion: '0.3' }), 'specversion'],
  ])('%s is malformed', (_what, event, path) => {
    expect(codeOf(() => parseRegistryEvent(event))).toBe('EVENT_INVALID');
    expect(problemPaths(() => parseRegistryEvent(event))).toContain(path);
  });

  test('any input gives an event or an error with a code', () => {
    fc.assert(
      fc.property(fc.oneof(fc.anything(), fc.jsonValue()), (value) => {
        expect(['UNKNOWN_EVENT_TYPE', 'EVENT_INVALID']).toContain(codeOf(() => parseRegistryEvent(value)));
      }),
    );
    const junk = fc.oneof(fc.jsonValue(), fc.string({ unit: 'binary' }));
    fc.assert(
      fc.property(junk, fc.constantFrom('tag', 'digest', 'repository', 'mediaType'), (value, key) => {
        const code = codeOf(() => parseRegistryEvent(eventGrid({ data: data({}, { [key]: value }) })));
        expect([undefined, 'EVENT_INVALID']).toContain(code);
      }),
    );
  });
});

describe('parseRegistryEventMessage', () => {
  test('reads text and parsed JSON', () => {
    expect(parseRegistryEventMessage(cloudEvent())).toEqual({ event: pushed });
    expect(parseRegistryEventMessage(JSON.stringify(eventGrid()))).toEqual({ event: pushed });
    expect(parseRegistryEventMessage(JSON.stringify([eventGrid()]))).toEqual({ event: pushed });
  });

  test('reads a message that was put back for a retry', () => {
    const retry = { firstMessageId: 'm1', firstAt: '2026-05-01T00:00:00.000Z', attempt: 3 };
    for (const message of [eventGrid(), JSON.stringify(eventGrid())]) {
      expect(parseRegistryEventMessage({ retry, message })).toEqual({ event: pushed, retry });
      expect(parseRegistryEventMessage(JSON.stringify({ retry, message }))).toEqual({ event: pushed, retry });
    }
  });

  test.each<[string, unknown]>([
    ['text that is no JSON', 'not json'],
    ['a wrapping without its id', { retry: { firstAt: '2026-05-01T00:00:00Z', attempt: 1 }, message: {} }],
    ['a wrapping with a bad time', { retry: { firstMessageId: 'a', firstAt: 'x', attempt: 1 }, message: {} }],
    [
      'a wrapped message with an invalid attempt',
      { retry: { firstMessageId: 'a', firstAt: '2026-05-01T00:00:00Z', attempt: 0 }, message: {} },
    ],
    ['a text that is too long', `"${'a'.repeat(1024 * 1024)}"`],
  ])('%s is refused', (_what, value) => {
    expect(codeOf(() => parseRegistryEventMessage(value))).toBe('MESSAGE_INVALID');
  });
});
