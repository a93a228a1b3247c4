import { writeFileSync } from 'node:fs';
import { createServer as createProxy, type IncomingMessage } from 'node:http';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:https';
import { connect, type AddressInfo, type Server } from 'node:net';
import { join } from 'node:path';
import { CERT_SIGN, issue, issueAuthority } from '../certificates.js';
import { Vault } from './vault.js';

/** A vault that other processes reach under its real name. */
export interface RunningVault {
  vault: Vault;
  /** For a process that is to reach it: a proxy that leads the vault's name here and no other name anywhere, and the authority. */
  environment: { HTTPS_PROXY: string; NO_PROXY: string; NODE_EXTRA_CA_CERTS: string };
  close(): void;
}

/**
 * Starts a vault with TLS, and a proxy that leads its name to it.
 * @param folder where the authority's certificate is put
 * @param others more hosts that are led here, and who answers for them
 */
export async function startVault(
  folder: string,
  vault = new Vault(),
  others: Readonly<Record<string, RequestListener>> = {},
): Promise<RunningVault> {
  const { hostname } = new URL(vault.url);
  const hosts = [hostname, ...Object.keys(others)];
  const authority = issueAuthority({ keyUsage: CERT_SIGN });
  const leaf = issue({ issuer: authority, dnsNames: hosts, extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'] });
  const authorityFile = join(folder, 'vault-authority.pem');
  writeFileSync(authorityFile, authority.pem);
  const server = createServer({ key: leaf.keyPem, cert: leaf.pem }, (request, response) => {
    const other = others[request.headers.host ?? ''];
    if (other !== undefined) return other(request, response);
    return void readBody(request).then((body) => {
      const { method = '', url = '', headers } = request;
      const answer = vault.answer(method, url, headers.authorization, body);
      response.writeHead(answer.status, { 'content-type': 'application/json; charset=utf-8', ...answer.headers });
      response.end(JSON.stringify(answer.body));
    });
  });
  const port = await listen(server);
  const proxy = createProxy((_request, response) => response.writeHead(403).end());
  proxy.on('connect', (request, socket) => {
    if (!hosts.some((host) => request.url === `${host}:443`)) return socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
    const inner = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      inner.pipe(socket).pipe(inner);
    });
    inner.on('error', () => socket.destroy());
    return socket.on('error', () => inner.destroy());
  });
  const proxyPort = await listen(proxy);
  return {
    vault,
    environment: {
      HTTPS_PROXY: `http://127.0.0.1:${proxyPort}`,
      NO_PROXY: 'localhost,127.0.0.1',
      NODE_EXTRA_CA_CERTS: authorityFile,
    },
    close: () => {
      for (const each of [server, proxy]) {
        each.close();
        each.closeAllConnections();
      }
    },
  };
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return (server.address() as AddressInfo).port;
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString('utf8');
  return text === '' ? undefined : JSON.parse(text);
}
