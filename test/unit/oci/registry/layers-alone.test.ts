import { expect, test } from '@jest/globals';
import { limitRate } from '../../../../src/oci/registry/rate-limit.js';
import { followRedirects } from '../../../../src/oci/registry/redirect.js';
import type { Transport, TransportRequest } from '../../../../src/oci/registry/transport.js';
import { failureOf } from './clients.js';

interface Step {
  status: number;
  headers?: Record<string, string>;
}

/** Returns answers in order and records the requests. */
function scriptedTransport(...steps: Step[]): Transport & { sent: TransportRequest[] } {
  const sent: TransportRequest[] = [];
  return {
    sent,
    send: (request) => {
      sent.push(request);
      const { status, headers = {} } = steps[sent.length - 1] ?? { status: 200 };
      return Promise.resolve({ status, headers, url: request.url, body: (async function* () {})() });
    },
  };
}

test('a redirect from plain HTTP to TLS on the same host is followed without the credential', async () => {
  const inner = scriptedTransport({ status: 301, headers: { location: 'https://r.example/v2/' } });
  const headers = { authorization: 'Basic x', accept: 'y' };
  await followRedirects(inner).send({ method: 'GET', url: 'http://r.example/v2/', kind: 'api', headers });
  expect(inner.sent.map(({ url, headers: sent }) => [url, sent])).toEqual([
    ['http://r.example/v2/', headers],
    ['https://r.example/v2/', { accept: 'y' }],
  ]);
});

test('a shorter Retry-After does not shorten a running pause', async () => {
  const inner = scriptedTransport(
    { status: 429, headers: { 'retry-after': '600' } },
    { status: 429, headers: { 'retry-after': '1' } },
  );
  const transport = limitRate(inner, { maxRetryAfterMs: 10 });
  const request: TransportRequest = { method: 'GET', url: 'https://r.example/v2/', kind: 'api' };
  await Promise.all([transport.send(request), transport.send(request)]);
  expect(await failureOf(transport.send(request))).toMatchObject({ code: 'TOOMANYREQUESTS' });
  expect(await failureOf(transport.send(request))).toHaveProperty('info.retryAfterMs', expect.closeTo(600_000, -4));
});
