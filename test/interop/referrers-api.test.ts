import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { runOurs, runProgram } from './oras/side-by-side.js';
import { describeWithPeers } from '../support/peers.js';

// What a registry may answer where the referrers API is forced, by a server that says what it is told to; beside oras.

const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';
const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json';
const EMPTY = { mediaType: 'application/vnd.oci.empty.v1+json', digest: `sha256:${'4'.repeat(64)}`, size: 2 };
const manifest = JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST_TYPE, config: EMPTY, layers: [EMPTY] });
const digest = `sha256:${createHash('sha256').update(manifest).digest('hex')}`;
const referrer = { mediaType: MANIFEST_TYPE, digest: `sha256:${'5'.repeat(64)}`, size: 3, artifactType: 'a/b' };
const index = { schemaVersion: 2, mediaType: INDEX_TYPE, manifests: [referrer] };

interface Answer {
  status?: number;
  type?: string;
  body: unknown;
}

describeWithPeers('the forced referrers API', ['oras'], ([oras = '']) => {
  let server: Server;
  let name = '';
  let answer: Answer;

  beforeAll(async () => {
    server = createServer((request, response) => {
      const { url = '' } = request;
      if (url.includes('/referrers/')) {
        const nobody = { type: INDEX_TYPE, body: { ...index, manifests: [] } };
        const { status = 200, type, body }: Answer = url.includes(digest) ? answer : nobody;
        if (type !== undefined) response.setHeader('content-type', type);
        response.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body));
      } else if (url.endsWith('/manifests/v1') || url.endsWith(digest)) {
        const head = { 'content-type': MANIFEST_TYPE, 'docker-content-digest': digest };
        response.writeHead(200, { ...head, 'content-length': Buffer.byteLength(manifest) });
        response.end(request.method === 'HEAD' ? undefined : manifest);
      } else response.writeHead(url === '/v2/' ? 200 : 404).end('{}');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    name = `localhost:${(server.address() as AddressInfo).port}/app`;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  const both = async () => {
    const argv = ['discover', '--format', 'json', '--distribution-spec', 'v1.1-referrers-api', `${name}:v1`];
    return { theirs: await runProgram(oras, argv), ours: await runOurs(argv) };
  };

  test.each<[string, Answer, number]>([
    ['an index', { type: INDEX_TYPE, body: index }, 0],
    ['an empty one', { type: INDEX_TYPE, body: { ...index, manifests: [] } }, 0],
    ['one whose list is null', { type: INDEX_TYPE, body: { ...index, manifests: null } }, 0],
    ['one that is called JSON', { type: 'application/json', body: index }, 1],
    ['one that is called a manifest', { type: MANIFEST_TYPE, body: index }, 1],
    ['one that is called nothing', { body: index }, 1],
    ['a page', { type: 'text/html', body: '<html>' }, 1],
    ['what is no JSON', { type: INDEX_TYPE, body: '<html>' }, 1],
    ['nothing', { status: 404, body: {} }, 1],
  ])('the answer of the registry is %s: we print and end as oras', async (_, told, code) => {
    answer = told;
    const { theirs, ours } = await both();
    expect({ code: ours.code, out: ours.out }).toEqual({ code: theirs.code, out: theirs.out });
    expect(ours.code).toBe(code);
    if (code === 1) expect(ours.err).toContain('(REFERRERS_API_UNSUPPORTED)');
  });

  test('an answer with a parameter in its media type is an index; oras refuses it', async () => {
    answer = { type: `${INDEX_TYPE}; charset=utf-8`, body: index };
    const { theirs, ours } = await both();
    expect([theirs.code, ours.code]).toEqual([1, 0]);
  });
});
