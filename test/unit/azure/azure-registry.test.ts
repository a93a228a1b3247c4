import { expect, test } from '@jest/globals';
import { identityRegistries } from '../../../src/azure/azure-registry.js';

test('the identity token goes to Azure registries, registries named as such, and loopback registries', () => {
  const allowed = [
    'a.azurecr.io',
    'b.azurecr.cn',
    'docker.io',
    'ghcr.io',
    'registry.example.org',
    'localhost:5100',
    'localhost:5101',
    'azurecr.io.example.org',
  ];
  const options = { named: ['registry.example.org', 'elsewhere.example.org'], withPassword: [] };
  const shown = ['a.azurecr.io', 'b.azurecr.cn', 'registry.example.org', 'localhost:5100', 'localhost:5101'];
  expect(identityRegistries(allowed, options)).toEqual(shown);
  expect(identityRegistries(allowed, { named: [], withPassword: [] })).not.toContain('registry.example.org');
});

test('the identity token does not go to a registry with a job password, unless it has an Azure name', () => {
  const allowed = ['a.azurecr.io', 'registry.example.org', 'localhost:5101'];
  const withPassword = ['A.azurecr.io', 'Registry.example.org', 'localhost:5101'];
  expect(identityRegistries(allowed, { named: ['registry.example.org'], withPassword })).toEqual(['a.azurecr.io']);
});
