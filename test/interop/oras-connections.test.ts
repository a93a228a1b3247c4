import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request, type IncomingHttpHeaders } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRegistry, type RunningRegistry } from '../../local/registry/server.js';
import { CN, issue, issueAuthority } from '../support/certificates.js';
import { runOurs, runProgram, splitLine, type Ran } from './oras/side-by-side.js';
import { describeWithPeers } from '../support/peers.js';

// How a registry is reached, beside oras: client certificates, headers and addresses of one's own, and what --debug tells.

const authority = issueAuthority({ subject: [[CN, 'test authority']] });

/** TLS in front of a registry. Who shows no certificate of the authority's is let in to nothing. */
async function startFront(registryPort: number) {
  const seen: { url: string; headers: IncomingHttpHeaders }[] = [];
  const { pem, keyPem } = issue({
    subject: [[CN, 'front']],
    issuer: authority,
    dnsNames: ['localhost', 'registry.example'],
  });
  const server = createServer(
    { cert: pem, key: keyPem, ca: authority.pem, requestCert: true, rejectUnauthorized: true },
    (incoming, outgoing) => {
      const { method = '', url = '', headers } = incoming;
      seen.push({ url, headers });
      const onward = request({ port: registryPort, method, path: url, headers }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(outgoing);
      });
      onward.on('error', () => outgoing.destroy());
      incoming.pipe(onward);
    },
  );
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    seen,
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

describeWithPeers('connections to a registry, compared with oras', ['oras'], ([oras = '']) => {
  let folder = '';
  let registry: RunningRegistry;
  let front: Awaited<ReturnType<typeof startFront>>;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'connections-'));
    registry = await startRegistry({
      dataDir: join(folder, 'registry'),
      name: 'registry.example',
      anonymous: true,
      users: [],
    });
    front = await startFront(registry.port);
    const client = issue({ subject: [[CN, 'client']], issuer: authority });
    const files = {
      'ca.pem': authority.pem,
      'cert.pem': client.pem,
      'key.pem': client.keyPem,
      'other-key.pem': issue().keyPem,
      'garbage.pem': 'no certificate',
      'hi.txt': 'hello',
    };
    for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
    const pushed = await runProgram(oras, ['push', `localhost:${registry.port}/app:v1`, 'hi.txt'], { cwd: folder });
    expect(pushed.code).toBe(0);
  });
  afterAll(async () => {
    front.close();
    await registry.close();
    await rm(folder, { recursive: true, force: true });
  });

  const words = (line: string): string[] =>
    splitLine(
      line
        .replaceAll('{tls}', `localhost:${front.port}`)
        .replaceAll('{front}', String(front.port))
        .replaceAll('{plain}', `localhost:${registry.port}`)
        .replaceAll('{registry}', String(registry.port))
        .replaceAll(/[\w-]+\.pem/g, (name) => join(folder, name)),
    );

  async function both(line: string): Promise<{ theirs: Ran; ours: Ran }> {
    const [argv, env] = [words(line), { DOCKER_CONFIG: folder, HOME: folder }];
    return {
      theirs: await runProgram(oras, argv, { cwd: folder, env }),
      ours: await runOurs(argv, { env }),
    };
  }

  const TLS = '--plain-http=false --ca-file ca.pem';
  const KNOWN = `${TLS} --cert-file cert.pem --key-file key.pem`;

  test.each([
    // Client certificates.
    [`resolve ${KNOWN} {tls}/app:v1`, 0],
    [`repo tags ${KNOWN} {tls}/app`, 0],
    [`repo ls ${KNOWN} {tls}`, 0],
    [`manifest fetch --plain-http=false --insecure --cert-file cert.pem --key-file key.pem {tls}/app:v1`, 0],
    [`resolve ${TLS} {tls}/app:v1`, 1],
    [`resolve ${TLS} --cert-file cert.pem {tls}/app:v1`, 1],
    [`resolve ${TLS} --key-file key.pem {tls}/app:v1`, 1],
    [`resolve ${TLS} --cert-file cert.pem --key-file other-key.pem {tls}/app:v1`, 1],
    [`resolve ${TLS} --cert-file absent.pem --key-file key.pem {tls}/app:v1`, 1],
    [`resolve ${TLS} --cert-file garbage.pem --key-file key.pem {tls}/app:v1`, 1],
    [`resolve --plain-http=false --ca-file garbage.pem {tls}/app:v1`, 1],
    [`resolve --ca-file absent.pem {plain}/app:v1`, 1],
    [`resolve --plain-http=false {tls}/app:v1`, 1],
    // Headers.
    ['resolve -H X-A:1 -H "X-B: 2" --header=X-A:3 {plain}/app:v1', 0],
    ['resolve -H "Content-Length: 10" -H Host:other {plain}/app:v1', 0],
    ['resolve -H X-A {plain}/app:v1', 1],
    ['resolve -H ":1" {plain}/app:v1', 1],
    ['resolve -H "a b: 1" {plain}/app:v1', 1],
    ['resolve -H {plain}/app:v1', 1],
    // Addresses.
    ['resolve --plain-http --resolve registry.example:80:127.0.0.1:{registry} registry.example/app:v1', 0],
    ['resolve --plain-http --resolve registry.example:{registry}:127.0.0.1 registry.example:{registry}/app:v1', 0],
    [`resolve ${KNOWN} --resolve registry.example:443:127.0.0.1:{front} registry.example/app:v1`, 0],
    [
      'resolve --plain-http --resolve registry.example:80:127.0.0.1:1 --resolve registry.example:80:127.0.0.1:{registry} registry.example/app:v1',
      0,
    ],
    ['resolve --resolve localhost:{registry} {plain}/app:v1', 1],
    ['resolve --resolve localhost:{registry}:nowhere {plain}/app:v1', 1],
    ['resolve --resolve localhost:port:127.0.0.1 {plain}/app:v1', 1],
    ['resolve --resolve localhost:{registry}:127.0.0.1:port {plain}/app:v1', 1],
    ['resolve --resolve localhost:{registry}:127.0.0.1:1:2 {plain}/app:v1', 1],
    // Both sides of a copy.
    [
      'cp --resolve registry.example:80:127.0.0.1:{registry} --from-plain-http --to-plain-http registry.example/app:v1 registry.example/b:v1',
      0,
    ],
    [
      'cp --from-resolve registry.example:80:127.0.0.1:{registry} --from-plain-http registry.example/app:v1 {plain}/c:v1',
      0,
    ],
    [
      'cp --to-resolve registry.example:80:127.0.0.1:{registry} --to-plain-http {plain}/app:v1 registry.example/d:v1',
      0,
    ],
    ['cp --from-header X-A:1 --to-header X-B:2 {plain}/app:v1 {plain}/e:v1', 0],
    ['cp --from-header X-A {plain}/app:v1 {plain}/e:v1', 1],
    ['cp --to-cert-file cert.pem {plain}/app:v1 {plain}/e:v1', 1],
  ])('%s prints and ends as in oras', async (line, code) => {
    const { theirs, ours } = await both(line);
    expect({ ours: ours.code, theirs: theirs.code }).toEqual({ ours: code, theirs: code });
    if (code === 1) expect(ours.err).not.toMatch(/INTERNAL/);
    // A copy within one registry mounts what oras, with a client for each side, copies.
    if (!line.startsWith('cp ')) expect(ours.out).toBe(theirs.out);
  });

  test('headers are sent as they were given', async () => {
    front.seen.length = 0;
    const { ours, theirs } = await both(`resolve ${KNOWN} -H "X-A: 1 2" -H X-B:c:d {tls}/app:v1`);
    expect([ours.code, theirs.code]).toEqual([0, 0]);
    expect(front.seen.map(({ headers }) => [headers['x-a'], headers['x-b']])).toEqual([
      ['1 2', 'c:d'],
      ['1 2', 'c:d'],
    ]);
  });

  describe('--debug', () => {
    const requests = ({ err }: Ran): string[] =>
      [...err.matchAll(/> Request URL: "([^"]*)"\n> Request method: "(\w+)"/g)].map(
        ([, url = '', method = '']) => `${method} ${url.replaceAll(/=[^&"]*/g, '=…')}`,
      );

    test.each([
      'resolve -d {plain}/app:v1',
      'manifest fetch --debug {plain}/app:v1',
      'repo tags --debug {plain}/app',
      'blob fetch -d --descriptor {plain}/app@sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824',
      'resolve -d {plain}/app:absent',
      'logout -d {plain}',
    ])('%s: requests to the same endpoints, and the same on standard output', async (line) => {
      const { ours, theirs } = await both(line);
      expect({ code: ours.code, out: ours.out }).toEqual({ code: theirs.code, out: theirs.out });
      const asked = (ran: Ran): string[] => [...new Set(requests(ran))];
      if (!line.startsWith('logout')) expect(asked(theirs).length).toBeGreaterThan(0);
      // How large a page is, and by which name a manifest is had, is as each likes.
      const endpoints = (ran: Ran): Set<string> =>
        new Set(asked(ran).map((text) => text.replace(/\w+ (.*)\/[^/]*$/, '$1')));
      expect(endpoints(ours)).toEqual(endpoints(theirs));
      const status = ({ err }: Ran): string[] =>
        [...err.matchAll(/< Response Status: "(\d+)/g)].map(([, code = '']) => code);
      expect(new Set(status(ours))).toEqual(new Set(status(theirs)));
    });

    test('--debug prints no header that --header has added', async () => {
      const { ours } = await both('manifest fetch -d -H X-Api-Key:very-secret {plain}/app:v1');
      expect(ours.err).toContain('"X-Api-Key": "*****"');
      expect(ours.err).not.toContain('very-secret');
    });
  });
});
