import { beforeAll, beforeEach, expect, test } from '@jest/globals';
import { SignIns } from '../../../../src/cli/connection/sign-ins.js';
import { anonymousCredentials, basicCredentials } from '../../../../src/oci/index.js';
import { serveIdentity } from '../../../support/identity-endpoint.js';

// Which registries see a token of Azure's. test/interop/sign-in.test.ts has the rest.

let asked = 0;

beforeAll(async () => {
  await serveIdentity((_, response) => {
    asked += 1;
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ access_token: 'entra-token', expires_on: '4070908800', token_type: 'Bearer' }));
  });
  process.env['AZURE_TOKEN_CREDENTIALS'] = 'ManagedIdentityCredential';
});
beforeEach(() => {
  asked = 0;
});
const env = { ACR_PROMOTER_AZURE_REGISTRIES: 'registry.example.org, localhost:5000' };

test.each(['a.azurecr.io', 'A.AzureCR.io', 'a.azurecr.cn', 'a.azurecr.us', 'registry.example.org', 'localhost:5000'])(
  '%s is signed in to with it',
  async (registry) => {
    const credentials = new SignIns({ env }).after(registry, anonymousCredentials, { azure: true });
    expect(await credentials.get(registry)).toEqual({
      kind: 'entra',
      accessToken: 'entra-token',
      orAnonymous: true,
    });
  },
);

test.each([
  'docker.io',
  'a.azurecr.io.example.org',
  'evilazurecr.io',
  'a.azurecr.io:8443',
  'azurecr.io',
  'localhost:5001',
  'sub.registry.example.org',
])('%s never sees it', async (registry) => {
  const credentials = new SignIns({ env }).after(registry, anonymousCredentials, { azure: true });
  expect(await credentials.get(registry)).toEqual({ kind: 'anonymous' });
  expect(asked).toBe(0);
});

test('a credential of the registry itself is used before az login', async () => {
  const own = basicCredentials('name', 'password', ['a.azurecr.io']);
  const credentials = new SignIns({ env }).after('a.azurecr.io', own, { azure: true });
  expect(await credentials.get('a.azurecr.io')).toMatchObject({ kind: 'basic' });
  expect(asked).toBe(0);
});
