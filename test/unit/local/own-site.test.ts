import { request, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { startServer } from '../../../local/host/http/server.js';
import { startIdentity } from '../../../local/identity/server.js';
import { isLoopback } from '../../../local/own-site.js';
import { startRegistry } from '../../../local/registry/server.js';

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

interface Answer {
  status: number;
  text: string;
}

/** Sends a request with headers that fetch does not allow to set. */
async function send(port: number, method: string, path: string, headers: Record<string, string>): Promise<Answer> {
  const sent = request({ host: '127.0.0.1', port, method, path, headers, setHost: headers.host === undefined });
  sent.end(method === 'POST' ? '{}' : undefined);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return { status: response.statusCode ?? 0, text };
}

/** Requests that a page of another site can make a browser send. */
const FOREIGN: [string, string, Record<string, string>][] = [
  ['a page that calls the server by its own name, in any method', 'GET', { host: 'rebound.example:80' }],
  ['the same with an address that only looks like this machine', 'POST', { host: '127.0.0.1.rebound.example' }],
  ['a form of another site', 'POST', { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }],
  ['a browser that sends no Sec-Fetch-Site', 'POST', { origin: 'https://evil.example' }],
  ['a page without an origin', 'POST', { origin: 'null' }],
  ['a page of another port of this machine', 'POST', { origin: 'http://localhost:1', 'sec-fetch-site': 'same-site' }],
  ['a request that only says where it comes from', 'DELETE', { 'sec-fetch-site': 'cross-site' }],
];

describe('the local host refuses a page of another site', () => {
  async function startHostServer(): Promise<{ port: number; handled: string[] }> {
    const handled: string[] = [];
    const server = await startServer(0);
    cleanups.push(async () => await server.close(0));
    server.setHandler(async ({ method, path }) => {
      handled.push(`${method} ${path}`);
      return { status: 202 };
    });
    return { port: server.port, handled };
  }

  test.each(FOREIGN)('%s', async (_, method, headers) => {
    const { port, handled } = await startHostServer();
    for (const path of ['/api/jobs', '/runtime/webhooks/EventGrid?functionName=onRegistryEvent']) {
      expect((await send(port, method, path, headers)).status).toBe(403);
    }
    expect(handled).toEqual([]);
  });

  test('command lines, Event Grid, links and its own pages are accepted', async () => {
    const { port, handled } = await startHostServer();
    const rows: [string, Record<string, string>][] = [
      ['POST', {}],
      ['POST', { host: `localhost:${port}` }],
      ['POST', { host: `[::1]:${port}` }],
      ['OPTIONS', { 'webhook-request-origin': 'eventgrid.azure.net' }],
      ['GET', { 'sec-fetch-site': 'cross-site' }],
      ['POST', { host: `localhost:${port}`, origin: `http://localhost:${port}`, 'sec-fetch-site': 'same-origin' }],
    ];
    for (const [method, headers] of rows) expect((await send(port, method, '/api/jobs', headers)).status).toBe(202);
    expect(handled).toHaveLength(rows.length);
  });
});

describe('the local registry', () => {
  async function start(options = {}): Promise<number> {
    const dataDir = mkdtempSync(join(tmpdir(), 'own-site-'));
    const registry = await startRegistry({ dataDir, anonymous: true, ...options });
    cleanups.push(async () => await registry.close());
    return registry.port;
  }

  test.each(FOREIGN)('refuses %s', async (_, method, headers) => {
    const port = await start();
    const { status, text } = await send(port, method, '/v2/a/blobs/uploads/', headers);
    expect([status, text]).toEqual([403, expect.stringContaining('DENIED')]);
    expect((await send(port, method, '/oauth2/token', headers)).status).toBe(403);
  });

  test('accepts uploads of clients, also with the name that it was started with', async () => {
    const port = await start({ name: 'source.example' });
    for (const host of [`127.0.0.1:${port}`, 'source.example']) {
      expect((await send(port, 'POST', '/v2/a/blobs/uploads/', { host })).status).toBe(202);
    }
  });
});

describe('the local identity endpoint', () => {
  test('gives no token to a browser, even with the secret', async () => {
    const identity = await startIdentity({ dataDir: mkdtempSync(join(tmpdir(), 'own-site-')) });
    cleanups.push(async () => await identity.close());
    const path = '/msi/token?resource=https://containerregistry.azure.net&api-version=2019-08-01';
    const ask = async (headers: Record<string, string>): Promise<Answer> =>
      await send(identity.port, 'GET', path, { 'x-identity-header': identity.environment.IDENTITY_HEADER, ...headers });
    for (const headers of [
      { host: 'rebound.example' },
      { origin: 'https://evil.example' },
      { 'sec-fetch-site': 'none' },
      { 'sec-fetch-site': 'same-origin' },
    ]) {
      const { status, text } = await ask(headers as unknown as Record<string, string>);
      expect([status, text.includes('access_token')]).toEqual([403, false]);
    }
    expect((await ask({})).text).toContain('access_token');
  });
});

test.each<[string, boolean]>([
  ['localhost', true],
  ['localhost:7071', true],
  ['LOCALHOST.:1', false],
  ['app.localhost:1', true],
  ['127.0.0.1:80', true],
  ['127.9.8.7', true],
  ['[::1]:7071', true],
  ['0.0.0.0:7071', false],
  ['192.168.0.1', false],
  ['localhost.example', false],
  ['127.0.0.1.nip.example', false],
  ['user@localhost', false],
  ['localhost/x', false],
  ['localhost#@evil.example', false],
  ['localhost?.evil.example', false],
  ['localhost\\evil.example', false],
  ['', false],
])('isLoopback(%j) is %p', (authority, expected) => {
  expect(isLoopback(authority)).toBe(expected);
});
