import { describe, expect, test } from '@jest/globals';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { REQUEST_CHANNEL, isRecord, type RegistriesOptions } from '../../../../src/oci/index.js';
import { blobOf, chunksOf, failureOf, quickClient } from './clients.js';
import { scripted } from './scripted-server.js';

/**
 * A registry that accepts every request and never responds.
 * @returns the number of requests
 */
async function askSilence(options: Partial<RegistriesOptions>): Promise<{ requests: number; error: unknown }> {
  let requests = 0;
  const server = createServer(() => void (requests += 1));
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const client = quickClient({ timeouts: { firstByteMs: 100 }, ...options });
  const { port } = server.address() as AddressInfo;
  const error = await failureOf(client.repository(`127.0.0.1:${port}`, 'a').resolve('v1'));
  await client.close();
  server.closeAllConnections();
  server.close();
  return { requests, error };
}

describe('a registry that does not respond', () => {
  test('is asked once if the caller backs off itself, and the error names the registry', async () => {
    const { requests, error } = await askSilence({ retry: { unanswered: false } });
    expect(error).toMatchObject({
      code: 'TIMEOUT',
      transient: true,
      details: { url: expect.stringContaining('/v2/') },
    });
    expect(requests).toBe(1);
  });

  test('is retried by default', async () => {
    const { requests, error } = await askSilence({ retry: { attempts: 2 } });
    expect(error).toMatchObject({ code: 'TIMEOUT' });
    expect(requests).toBe(2);
  });
});

test('committing a large blob has the timeout of large blobs, also without a body', async () => {
  const bytes = Buffer.alloc(3 * 1024 * 1024, 7);
  const blob = blobOf(bytes);
  const kinds = new Map<string, unknown>();
  const note = (message: unknown): void => {
    if (isRecord(message) && message.phase === 'end') kinds.set(String(message.method), message.kind);
  };
  subscribe(REQUEST_CHANNEL, note);
  const session = '/v2/a/blobs/uploads/1';
  const digest = encodeURIComponent(blob.digest);
  try {
    await scripted(
      [
        { request: `HEAD /v2/a/blobs/${blob.digest}`, answer: { status: 404 } },
        { request: 'POST /v2/a/blobs/uploads/', answer: { status: 202, headers: { location: session } } },
        { request: `PATCH ${session}`, answer: { status: 202, headers: { location: session } } },
        { request: `PUT ${session}?digest=${digest}`, answer: { status: 201 } },
      ],
      async (server) => {
        const client = quickClient({ uploads: { monolithicBytes: 0, chunkBytes: 4 * 1024 * 1024 } });
        await client.repository(server.host, 'a').pushBlob(blob, () => chunksOf(bytes));
        await client.close();
      },
    );
  } finally {
    unsubscribe(REQUEST_CHANNEL, note);
  }
  expect(Object.fromEntries(kinds)).toEqual({ HEAD: 'api', POST: 'api', PATCH: 'bytes', PUT: 'bytes' });
});
