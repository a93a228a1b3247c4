import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { startIdentity } from '../../../../local/identity/server.js';
import type { RunningRegistry } from '../../../../local/registry/server.js';
import {
  atEnd,
  cleanUpAfterEach,
  putBlob,
  putImage,
  sender,
  sha256,
  start,
  temporaryFolder,
} from '../../../support/registry-harness.js';

cleanUpAfterEach();

const USERS = [
  { name: 'admin', password: 'top:secret' },
  { name: 'reader', password: 'r', grants: [{ repository: 'samples/*', actions: ['pull'] }] },
];

function basic(name: string, password: string): Record<string, string> {
  return { authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}` };
}

async function tokenFor(registry: RunningRegistry, name: string, password: string, ...scopes: string[]) {
  const query = new URLSearchParams({ service: registry.name });
  for (const scope of scopes) query.append('scope', scope);
  const answer = await sender(registry)('GET', `/oauth2/token?${query.toString()}`, { headers: basic(name, password) });
  return (JSON.parse(answer.text) as { access_token: string }).access_token;
}

async function post(registry: RunningRegistry, path: string, form: Record<string, string>) {
  const answer = await sender(registry)('POST', path, { body: new URLSearchParams(form) });
  return { ...answer, body: JSON.parse(answer.text) as { access_token: string; refresh_token: string } };
}

describe('access', () => {
  test('every request without a token is answered 401, with a challenge that names the scope', async () => {
    const registry = await start({ users: USERS, name: 'registry.test' });
    const send = sender(registry);
    const digest = sha256('x');
    for (const [method, path, scope] of [
      ['GET', '/v2/', ''],
      ['GET', '/v2/_catalog', 'registry:catalog:*'],
      ['GET', '/v2/a/b/tags/list', 'repository:a/b:pull'],
      ['GET', `/v2/a/b/referrers/${digest}`, 'repository:a/b:pull'],
      ['HEAD', `/v2/a/b/blobs/${digest}`, 'repository:a/b:pull'],
      ['PUT', '/v2/a/b/manifests/v1', 'repository:a/b:pull,push'],
      ['POST', '/v2/a/b/blobs/uploads/', 'repository:a/b:pull,push'],
      ['POST', `/v2/a/b/blobs/uploads/?mount=${digest}&from=c`, 'repository:a/b:pull,push repository:c:pull'],
      ['DELETE', '/v2/a/b/manifests/v1', 'repository:a/b:delete'],
      ['GET', '/acr/v1/a/b/_tags', 'repository:a/b:metadata_read'],
    ] as const) {
      const answer = await send(method, path);
      const wanted = scope === '' ? '' : `,scope="${scope}"`;
      expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([
        401,
        `Bearer realm="${registry.url}/oauth2/token",service="registry.test"${wanted}`,
      ]);
      expect(answer.headers.get('docker-distribution-api-version')).toBe('registry/2.0');
      if (method !== 'HEAD') expect(answer.code).toBe('UNAUTHORIZED');
    }
    const asBasic = await send('GET', '/v2/', { headers: basic('admin', 'top:secret') });
    expect(asBasic.status).toBe(401);
    expect(registry.log.map(({ status }) => status)).toEqual(Array.from({ length: 11 }, () => 401));
    expect(registry.log.at(-1)?.token).toBe('other');
  });

  test('a token allows only its repository and actions', async () => {
    const registry = await start({ users: USERS });
    const token = await tokenFor(registry, 'admin', 'top:secret', 'repository:a:pull,push', 'repository:b:pull');
    const send = sender(registry, token);
    expect((await putImage(send, 'a', 'v1')).answer.status).toBe(201);
    expect((await send('GET', '/v2/a/tags/list')).status).toBe(200);
    expect((await send('GET', '/v2/b/tags/list')).status).toBe(404);
    const refused = await send('POST', '/v2/b/blobs/uploads/');
    expect(refused.status).toBe(401);
    expect(refused.headers.get('www-authenticate')).toContain('error="insufficient_scope"');
    expect((await send('DELETE', '/v2/a/manifests/v1')).status).toBe(401);
    expect((await sender(registry, `${token}x`)('GET', '/v2/')).headers.get('www-authenticate')).toContain(
      'error="invalid_token"',
    );
    const elsewhere = await start({ users: USERS });
    expect((await sender(elsewhere, token)('GET', '/v2/')).status).toBe(401);
  });

  test('a wrong password gets no token, and anonymous callers get one only if that is allowed', async () => {
    const registry = await start({ users: USERS });
    const get = async (headers: Record<string, string>) =>
      (await sender(registry)('GET', '/oauth2/token?scope=repository:a:pull', { headers })).code;
    expect(await get(basic('admin', 'wrong'))).toBe('UNAUTHORIZED');
    expect(await get(basic('nobody', ''))).toBe('UNAUTHORIZED');
    expect(await get({})).toBe('UNAUTHORIZED');
    expect((await post(registry, '/oauth2/token', { grant_type: 'password', username: '' })).code).toBe('UNAUTHORIZED');
    expect((await post(registry, '/oauth2/token', { grant_type: 'magic' })).code).toBe('BAD_REQUEST');
  });

  test('a repository-scoped token pulls from its repositories and never lists the catalog', async () => {
    const registry = await start({ users: USERS });
    const admin = sender(registry, await tokenFor(registry, 'admin', 'top:secret', 'repository:samples/app:pull,push'));
    await putImage(admin, 'samples/app', 'v1');
    const scopes = ['repository:samples/app:pull,push', 'repository:other:pull', 'registry:catalog:*'];
    const send = sender(registry, await tokenFor(registry, 'reader', 'r', ...scopes));
    expect((await send('GET', '/v2/samples/app/tags/list')).status).toBe(200);
    expect((await send('POST', '/v2/samples/app/blobs/uploads/')).status).toBe(401);
    expect((await send('GET', '/v2/other/tags/list')).status).toBe(401);
    expect((await send('GET', '/v2/_catalog')).status).toBe(401);
  });

  test('a blob is mounted only from a repository that the token can read', async () => {
    const registry = await start({ users: USERS });
    const both = ['repository:a:pull,push', 'repository:b:pull,push'];
    const { digest } = await putBlob(
      sender(registry, await tokenFor(registry, 'admin', 'top:secret', ...both)),
      'a',
      'content',
    );
    const send = sender(registry, await tokenFor(registry, 'admin', 'top:secret', 'repository:b:pull,push'));
    expect((await send('POST', `/v2/b/blobs/uploads/?mount=${digest}&from=a`)).status).toBe(401);
    expect((await send('POST', `/v2/b/blobs/uploads/?mount=${digest}`)).status).toBe(202);
  });

  test('an Entra token is exchanged for a refresh token, which is exchanged for an access token', async () => {
    const identity = await startIdentity({ dataDir: await temporaryFolder() });
    atEnd(async () => await identity.close());
    const registry = await start({ users: [], entraKeysFile: identity.publicKeysFile });
    const entraToken = async (resource: string): Promise<string> => {
      const { IDENTITY_ENDPOINT, IDENTITY_HEADER } = identity.environment;
      const query = new URLSearchParams({ resource, 'api-version': '2019-08-01' });
      const response = await fetch(`${IDENTITY_ENDPOINT}?${query.toString()}`, {
        headers: { 'x-identity-header': IDENTITY_HEADER },
      });
      return ((await response.json()) as { access_token: string }).access_token;
    };
    const exchange = async (token: string) =>
      await post(registry, '/oauth2/exchange', {
        grant_type: 'access_token',
        service: registry.name,
        access_token: token,
      });
    const exchanged = await exchange(await entraToken('https://containerregistry.azure.net'));
    expect(exchanged.status).toBe(200);
    const { refresh_token: refresh } = exchanged.body;
    const form = { grant_type: 'refresh_token', refresh_token: refresh, scope: 'repository:a:pull,push' };
    const { body } = await post(registry, '/oauth2/token', form);
    expect((await putImage(sender(registry, body.access_token), 'a', 'v1')).answer.status).toBe(201);
    expect(registry.log.at(-1)).toMatchObject({ token: 'valid', subject: `entra:${identity.clientId}` });
    // A refresh token is not an access token and the reverse. Docker's config stores it as a password.
    expect((await sender(registry, refresh)('GET', '/v2/')).status).toBe(401);
    expect((await post(registry, '/oauth2/token', { ...form, refresh_token: body.access_token })).status).toBe(401);
    const asPassword = '00000000-0000-0000-0000-000000000000';
    const token = await tokenFor(registry, asPassword, refresh, 'repository:a:pull');
    expect((await sender(registry, token)('GET', '/v2/a/tags/list')).status).toBe(200);
    expect((await exchange(await entraToken('https://vault.azure.net'))).code).toBe('UNAUTHORIZED');
    expect((await exchange('nonsense')).code).toBe('UNAUTHORIZED');
  });

  test('tokens expire', async () => {
    const registry = await start({ users: USERS, accessTokenSeconds: 1, refreshTokenSeconds: 1 });
    const token = await tokenFor(registry, 'admin', 'top:secret');
    const { body } = await post(registry, '/oauth2/token', {
      grant_type: 'password',
      username: 'admin',
      password: 'top:secret',
      access_type: 'offline',
    });
    // Whether the token was still valid depends on the machine's speed. Longer lifetimes are tested above.
    await new Promise((resolve) => setTimeout(resolve, 1100));
    expect((await sender(registry, token)('GET', '/v2/')).status).toBe(401);
    expect(registry.log.at(-1)?.token).toBe('expired');
    const form = { grant_type: 'refresh_token', refresh_token: body.refresh_token };
    expect((await post(registry, '/oauth2/token', form)).status).toBe(401);
  });

  test('with anonymousPull everybody can read and only signed-in users can write', async () => {
    const registry = await start({ users: USERS, anonymousPull: true });
    const admin = sender(registry, await tokenFor(registry, 'admin', 'top:secret', 'repository:a:pull,push'));
    await putImage(admin, 'a', 'v1');
    expect((await sender(registry)('GET', '/v2/a/tags/list')).status).toBe(401);
    const { body } = await post(registry, '/oauth2/token', {
      grant_type: 'password',
      scope: 'repository:a:pull,push',
    });
    const send = sender(registry, body.access_token);
    expect((await send('GET', '/v2/a/tags/list')).status).toBe(200);
    expect((await send('POST', '/v2/a/blobs/uploads/')).status).toBe(401);
  });

  test('the log on disk has every request and no secret', async () => {
    const registry = await start({ users: USERS });
    const token = await tokenFor(registry, 'admin', 'top:secret', 'repository:a:pull,push');
    await putImage(sender(registry, token), 'a', 'v1');
    await sender(registry)('GET', '/v2/a/tags/list?access_token=hidden&n=3');
    const text = readFileSync(registry.logFile, 'utf8');
    const lines = text.trim().split('\n');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([...registry.log]);
    expect(lines.length).toBe(5);
    expect(text).not.toMatch(/top:secret|_state|hidden|eyJ/);
    expect(registry.log.at(-1)).toMatchObject({ path: '/v2/a/tags/list?n=3', status: 401, token: 'none' });
  });
});
