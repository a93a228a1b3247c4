import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { managedIdentityCredentials } from '../../../src/azure/identity.js';
import { serveIdentity } from '../../support/identity-endpoint.js';

describe('managedIdentityCredentials', () => {
  let asked: { resource: string | null; clientId: string | null; secret: unknown }[] = [];
  let status = 200;
  let lifetimeSeconds = 3600;
  let turn = 0;
  /** The SDK caches tokens by client id for the whole process. */
  const newClientId = (): string => `00000000-0000-4000-8000-${String((turn += 1)).padStart(12, '0')}`;

  beforeAll(async () => {
    await serveIdentity((request, response) => {
      const url = new URL(request.url ?? '', 'http://identity');
      asked.push({
        resource: url.searchParams.get('resource'),
        clientId: url.searchParams.get('client_id'),
        secret: request.headers['x-identity-header'],
      });
      response.writeHead(status, { 'content-type': 'application/json' });
      const expires = String(Math.floor(Date.now() / 1000) + lifetimeSeconds);
      const token = { access_token: `token-${asked.length}`, expires_on: expires, resource: '', token_type: 'Bearer' };
      const refusal = { statusCode: status, message: 'No User Assigned Identity found' };
      response.end(JSON.stringify(status === 200 ? token : refusal));
    });
  });
  beforeEach(() => {
    asked = [];
    status = 200;
    lifetimeSeconds = 3600;
  });

  test('gives the Entra token for container registries, with one request for parallel calls', async () => {
    const clientId = newClientId();
    const credentials = managedIdentityCredentials({ clientId, registries: ['LOCALHOST:5100'] });
    const all = await Promise.all(Array.from({ length: 20 }, () => credentials.get('localhost:5100')));
    expect(new Set(all.map((one) => JSON.stringify(one)))).toEqual(
      new Set([JSON.stringify({ kind: 'entra', accessToken: 'token-1' })]),
    );
    expect(await credentials.get('localhost:5100')).toEqual({ kind: 'entra', accessToken: 'token-1' });
    expect(asked).toEqual([{ resource: 'https://containerregistry.azure.net', clientId, secret: 'header-secret' }]);
  });

  test('requests a new token shortly before the old one expires', async () => {
    const credentials = managedIdentityCredentials({ clientId: newClientId() });
    lifetimeSeconds = 120;
    expect(await credentials.get('a.azurecr.io')).toEqual({ kind: 'entra', accessToken: 'token-1' });
    lifetimeSeconds = 3600;
    expect(await credentials.get('a.azurecr.io')).toEqual({ kind: 'entra', accessToken: 'token-2' });
    expect(await credentials.get('a.azurecr.io')).toEqual({ kind: 'entra', accessToken: 'token-2' });
  });

  test.each(['docker.io', 'a.azurecr.io.example.com', 'evilazurecr.io', 'b.azurecr.io:8443', 'localhost:5100'])(
    'never sends the token to %s',
    async (registry) => {
      const credentials = managedIdentityCredentials({ clientId: newClientId() });
      expect(await credentials.get(registry)).toEqual({ kind: 'anonymous' });
      expect(asked).toEqual([]);
    },
  );

  test('uses only the given registries', async () => {
    const credentials = managedIdentityCredentials({ clientId: newClientId(), registries: [] });
    expect(await credentials.get('a.azurecr.io')).toEqual({ kind: 'anonymous' });
  });

  test('reports a refusal with a remedy and without a secret, and does not cache it', async () => {
    const credentials = managedIdentityCredentials({ clientId: newClientId() });
    status = 400;
    const failed: unknown = await credentials.get('a.azurecr.io').catch((error: unknown) => error);
    expect(failed).toMatchObject({ code: 'IDENTITY_UNAVAILABLE', remedy: expect.stringContaining('AZURE_CLIENT_ID') });
    expect(JSON.stringify(failed)).not.toContain('header-secret');
    status = 200;
    expect(await credentials.get('a.azurecr.io')).toMatchObject({ kind: 'entra' });
  });

  test("a caller's signal ends only its own wait", async () => {
    const credentials = managedIdentityCredentials({ clientId: newClientId() });
    const stop = new AbortController();
    const [stopped, other] = [credentials.get('a.azurecr.io', stop.signal), credentials.get('a.azurecr.io')];
    stop.abort();
    await expect(stopped).rejects.toMatchObject({ name: 'AbortError' });
    expect(await other).toMatchObject({ kind: 'entra', accessToken: 'token-1' });
  });
});
