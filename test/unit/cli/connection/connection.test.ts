import { expect, test } from '@jest/globals';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from '../../../../src/cli/connection/connection.js';
import { proxyFor } from '../../../../src/cli/connection/proxy.js';
import { createMemoryIo } from '../../../support/memory-io.js';

test('a Retry-After of a minute is waited for', async () => {
  const server = createServer((_, response) => void response.writeHead(429, { 'retry-after': '60' }).end());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { io } = createMemoryIo({ env: { DOCKER_CONFIG: '/nowhere' } });
  const host = `localhost:${(server.address() as AddressInfo).port}`;
  const client = await connect(host, {}, io);
  try {
    const stopping = new AbortController();
    const resolving = client.repository(host, 'a').resolve('v1', { signal: stopping.signal });
    await once(server, 'request');
    const stopped = new Error('stopped');
    setTimeout(() => stopping.abort(stopped), 300);
    await expect(resolving).rejects.toBe(stopped);
  } finally {
    await client.close();
    server.close();
  }
});

test.each([
  ['r.example:443', 'r.example:443', undefined],
  ['r.example:8443', 'r.example:443', 'http://p'],
  ['r.example', 'r.example:443', undefined],
  ['sub.r.example:5000', '.r.example:5000', undefined],
  ['10.1.2.3:5000', '10.0.0.0/8', undefined],
  ['11.1.2.3:5000', '10.0.0.0/8', 'http://p'],
  ['10.1.2.3', '10.0.0.0/99', 'http://p'],
])('%s beside NO_PROXY=%s', (registry, NO_PROXY, proxy) => {
  expect(proxyFor(registry, { HTTPS_PROXY: 'http://p', NO_PROXY })).toBe(proxy);
});
