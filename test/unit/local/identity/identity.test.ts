import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { AccessToken } from '@azure/identity';
import { createLocalJWKSet, jwtVerify, type JSONWebKeySet } from 'jose';
import { startIdentity, type RunningIdentity } from '../../../../local/identity/server.js';

const RESOURCE = 'https://containerregistry.azure.net';
let dataDir: string;
let identity: RunningIdentity;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'local-identity-'));
  identity = await startIdentity({ dataDir });
});
afterEach(async () => {
  await identity.close();
  await rm(dataDir, { recursive: true, force: true });
});

async function ask(parameters: Record<string, string>, header = identity.environment.IDENTITY_HEADER) {
  const query = new URLSearchParams({ resource: RESOURCE, 'api-version': '2019-08-01', ...parameters });
  return await fetch(`${identity.environment.IDENTITY_ENDPOINT}?${query.toString()}`, {
    headers: { 'x-identity-header': header },
  });
}

describe('the managed-identity endpoint', () => {
  test('ManagedIdentityCredential gets a token that the public keys verify', async () => {
    // In a process of its own: the library keeps the first endpoint that it sees.
    const script = `import { ManagedIdentityCredential } from '@azure/identity';
      const credential = new ManagedIdentityCredential({ clientId: '${identity.clientId}' });
      process.stdout.write(JSON.stringify(await credential.getToken('${RESOURCE}/.default')));`;
    const env = { ...process.env, ...identity.environment };
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { env });
    const { token, expiresOnTimestamp } = JSON.parse(stdout) as AccessToken;
    const keys = JSON.parse(await readFile(identity.publicKeysFile, 'utf8')) as JSONWebKeySet;
    const { payload } = await jwtVerify(token, createLocalJWKSet(keys), { audience: RESOURCE });
    expect(payload).toMatchObject({ appid: identity.clientId, tid: identity.tenantId });
    // The library counts from the arrival of the answer, in whole seconds.
    expect(Math.abs((payload.exp ?? 0) - expiresOnTimestamp / 1000)).toBeLessThanOrEqual(2);
    expect(JSON.stringify(keys)).not.toContain('"d"');
  });

  test('a request without the header or with an error gets no token, and all requests are logged', async () => {
    const statuses = [
      (await ask({}, 'wrong')).status,
      (await ask({ 'api-version': '2017-09-01' })).status,
      (await ask({ client_id: 'another' })).status,
      (await ask({ resource: '' })).status,
      (await ask({ client_id: identity.clientId })).status,
    ];
    expect(statuses).toEqual([401, 400, 400, 400, 200]);
    const text = await readFile(identity.logFile, 'utf8');
    expect(
      text
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { status: number }).status),
    ).toEqual(statuses);
    expect(identity.log.at(-1)).toMatchObject({ resource: RESOURCE, clientId: identity.clientId, status: 200 });
    expect(text).not.toContain(identity.environment.IDENTITY_HEADER);
    expect(text).not.toContain('eyJ');
  });

  test('keys, ids and secret are the same after a restart', async () => {
    const { token } = { token: ((await (await ask({})).json()) as { access_token: string }).access_token };
    const { clientId, environment } = identity;
    await identity.close();
    identity = await startIdentity({ dataDir });
    expect(identity.clientId).toBe(clientId);
    expect(identity.environment.IDENTITY_HEADER).toBe(environment.IDENTITY_HEADER);
    const keys = JSON.parse(await readFile(identity.publicKeysFile, 'utf8')) as JSONWebKeySet;
    await expect(jwtVerify(token, createLocalJWKSet(keys))).resolves.toBeDefined();
  });
});
