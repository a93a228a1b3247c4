import { describe, expect, test } from '@jest/globals';
import { registryHost, parseRegistryEvent } from '../../../src/messages/registry-event.js';

const ID = '/subscriptions/11/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/DemoRegistry';
const LABELLED = new Map([[ID.toLowerCase(), 'demoregistry-a1b2c3.azurecr.io']]);
const NONE = new Map<string, string>();

describe('the registry host of an event', () => {
  test('comes from REGISTRY_IDS, whatever host the client sent', () => {
    for (const host of [undefined, 'demoregistry-a1b2c3.westeurope.geo.azurecr.io', 'registry.contoso.example']) {
      expect(registryHost(ID, host, LABELLED)).toBe('demoregistry-a1b2c3.azurecr.io');
    }
    expect(registryHost(ID.toUpperCase(), undefined, LABELLED)).toBe('demoregistry-a1b2c3.azurecr.io');
  });

  test('the login server of a connected registry is the one of its registry', () => {
    expect(registryHost(`${ID}/connectedRegistries/factory`, undefined, LABELLED)).toBe(
      'demoregistry-a1b2c3.azurecr.io',
    );
  });

  test('differs for a registry whose name only starts alike', () => {
    expect(registryHost(`${ID}Two`, undefined, LABELLED)).toBe('demoregistrytwo.azurecr.io');
    expect(registryHost(`/x${ID}`, undefined, LABELLED)).toBeUndefined();
  });

  test.each([
    ['demo.westeurope.geo.azurecr.io', 'demo.azurecr.io'],
    ['Demo-A1B2.WestEurope.geo.azurecr.io', 'demo-a1b2.azurecr.io'],
    ['demo.usgovvirginia.geo.azurecr.us', 'demo.azurecr.us'],
    ['demo.azurecr.io', 'demo.azurecr.io'],
    ['localhost:5100', 'localhost:5100'],
    ['demo.westeurope.geo.azurecr.io.example', 'demo.westeurope.geo.azurecr.io.example'],
    ['a.demo.westeurope.geo.azurecr.io', 'a.demo.westeurope.geo.azurecr.io'],
  ])('without an entry in REGISTRY_IDS, %s gives %s', (host, expected) => {
    expect(registryHost(ID, host, NONE)).toBe(expected);
  });

  test.each([
    ['CloudEvents', { specversion: '1.0', source: ID, type: 'Microsoft.ContainerRegistry.ImagePushed' }],
    ['the Event Grid schema', { topic: ID, eventType: 'Microsoft.ContainerRegistry.ImagePushed' }],
  ])('is found in events in %s', (_schema, envelope) => {
    const data = {
      timestamp: '2026-11-30T07:00:00Z',
      target: { repository: 'samples/app', tag: 'v1' },
      request: { host: 'demoregistry-a1b2c3.northeurope.geo.azurecr.io' },
    };
    const event = { id: 'e1', ...envelope, data };
    expect(parseRegistryEvent(event, LABELLED).registry).toBe('demoregistry-a1b2c3.azurecr.io');
  });
});
