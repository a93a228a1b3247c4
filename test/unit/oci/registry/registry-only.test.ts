import { describe, expect, test } from '@jest/globals';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { once } from 'node:events';
import { CN, issue, issueAuthority } from '../../../support/certificates.js';
import { blobOf, fixedCredentials, quickClient, readAll } from './clients.js';
import { scripted, type Exchange } from './scripted-server.js';

// Headers and certificates are for registries only, and not for hosts to which they redirect.

const CONTENT = Buffer.from('hello');
const BLOB = blobOf(CONTENT);
const OWN = { 'x-key': 'for-the-registry', accept: 'application/x.own' };

describe('additional headers', () => {
  test('are sent with every request to the registry, but not to the target of a redirect', async () => {
    const elsewhere: Exchange = {
      request: 'GET /kept?sig=1',
      headers: { 'x-key': undefined },
      answer: { status: 200, body: CONTENT },
    };
    await scripted([elsewhere], async (other) => {
      const blob: Exchange = {
        request: `GET /v2/app/blobs/${BLOB.digest}`,
        headers: { 'x-key': 'for-the-registry' },
        // Another port is another origin.
        answer: { status: 307, headers: { location: `${other.origin}/kept?sig=1` } },
      };
      await scripted([blob], async ({ host }) => {
        const client = quickClient({ headers: OWN });
        expect(await readAll(await client.repository(host, 'app').openBlob(BLOB))).toEqual(CONTENT);
        await client.close();
      });
    });
  });

  test("are not sent to token endpoints and do not replace the client's own headers", async () => {
    const asked: Exchange = {
      request: 'GET /token?service=r&scope=repository%3Aapp%3Apull',
      headers: { 'x-key': undefined },
      answer: { status: 200, body: { token: 'for-this-once' } },
    };
    await scripted([asked], async (realm) => {
      const challenge = { 'www-authenticate': `Bearer realm="${realm.origin}/token",service="r"` };
      const [request, body] = [`GET /v2/app/manifests/v1`, { schemaVersion: 2 }];
      const types = { 'content-type': 'application/vnd.oci.image.manifest.v1+json' };
      await scripted(
        [
          { request, headers: { 'x-key': 'for-the-registry' }, answer: { status: 401, headers: challenge } },
          {
            request,
            headers: { 'x-key': 'for-the-registry', authorization: 'Bearer for-this-once' },
            answer: { status: 200, headers: types, body },
          },
        ],
        async ({ host, seen }) => {
          const client = quickClient({
            headers: { ...OWN, authorization: 'Bearer by-hand' },
            credentials: fixedCredentials({ kind: 'anonymous' }),
          });
          await client.repository(host, 'app').fetchManifest('v1');
          await client.close();
          expect(seen[0]?.headers.authorization).toBe('Bearer by-hand');
          expect(seen[0]?.headers.accept).toMatch(/^application\/vnd\.oci\..*, application\/x\.own$/);
        },
      );
    });
  });
});

test('a listing never continues on another host, whatever the URL of its next page', async () => {
  await scripted([], async (elsewhere) => {
    const page: Exchange[] = [
      {
        request: 'GET /v2/app/tags/list?n=1000',
        answer: {
          status: 200,
          headers: { link: `</v2/app/blobs/${BLOB.digest}>; rel="next"` },
          body: { tags: ['v1'] },
        },
      },
      {
        request: `GET /v2/app/blobs/${BLOB.digest}`,
        answer: { status: 307, headers: { location: `${elsewhere.origin}/secret` } },
      },
    ];
    await scripted(page, async ({ host }) => {
      const client = quickClient({ allowedRegistries: [host] });
      const listing = async (): Promise<void> => {
        for await (const _tag of client.repository(host, 'app').listTags());
      };
      await expect(listing()).rejects.toMatchObject({ code: 'REDIRECT_REFUSED' });
      await client.close();
    });
  });
});

const authority = issueAuthority({ subject: [[CN, 'test authority']] });
const certificate = (name: string): { cert: string; key: string } => {
  const { pem, keyPem } = issue({ subject: [[CN, name]], issuer: authority });
  return { cert: pem, key: keyPem };
};

/** A server that requests a client certificate and records whose certificates it received. */
async function startAsking(answer: () => { status: number; headers?: Record<string, string>; body?: Uint8Array }) {
  const seen: string[] = [];
  const server = createServer(
    { ...certificate('localhost'), ca: authority.pem, requestCert: true, rejectUnauthorized: false },
    (request, response) => {
      const { subject } = (request.socket as TLSSocket).getPeerCertificate();
      seen.push(`${request.headers.host ?? ''} ${String(subject?.CN)}`);
      const { status, headers, body } = answer();
      response.writeHead(status, headers).end(body);
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    seen,
    port,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

test('a client certificate is presented to the registry, but not to the target of a redirect', async () => {
  const other = await startAsking(() => ({ status: 200, body: CONTENT }));
  const registry = await startAsking(() => ({
    status: 307,
    headers: { location: `https://localhost:${other.port}/kept` },
  }));
  try {
    const host = `localhost:${registry.port}`;
    const client = quickClient({
      plainHttp: () => false,
      ca: authority.pem,
      clientCertificate: certificate('the client'),
    });
    expect(await readAll(await client.repository(host, 'app').openBlob(BLOB))).toEqual(CONTENT);
    await client.close();
    expect(registry.seen).toEqual([`${host} the client`]);
    expect(other.seen).toEqual([`localhost:${other.port} undefined`]);
  } finally {
    registry.close();
    other.close();
  }
});

test("a given address is used with the host's own name and without the proxy", async () => {
  const registry = await startAsking(() => ({ status: 200, body: CONTENT }));
  try {
    const client = quickClient({
      ca: authority.pem,
      // The certificate has this name.
      addresses: new Map([['localhost:8443', { address: '127.0.0.1', port: registry.port }]]),
      proxy: 'http://127.0.0.1:9',
      plainHttp: () => false,
    });
    expect(await readAll(await client.repository('localhost:8443', 'app').openBlob(BLOB))).toEqual(CONTENT);
    await client.close();
    expect(registry.seen).toEqual(['localhost:8443 undefined']);
  } finally {
    registry.close();
  }
});
