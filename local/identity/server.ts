import { createHash, randomUUID, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { refusedAsForeign } from '../own-site.js';
import { closeServer, listen, sendJson } from '../registry/http.js';
import { JsonLinesFile } from '../registry/json-lines.js';
import { loadKeys, type IdentityKeys } from './keys.js';

const PATH = '/msi/token';
const API_VERSION = '2019-08-01';
const LOG_BYTES = 16 * 1024 * 1024;
const RECENT = 1000;

export interface IdentityOptions {
  /** The folder with keys and log. */
  dataDir: string;
  /** Default 0: a free port. */
  port?: number;
  host?: string;
  /** The required value of `X-IDENTITY-HEADER`. Default: a random one, stored in the folder. */
  secret?: string;
  /** Lifetime of tokens in seconds. Default: 24 hours, as in Azure. */
  tokenSeconds?: number;
}

/** One line of the log: who asked for what, and the answer. */
interface IdentityLogEntry {
  time: string;
  resource: string;
  clientId: string;
  userAgent: string;
  status: number;
}

export interface RunningIdentity {
  /** The environment variables that an app needs, as App Service sets them. */
  readonly environment: { IDENTITY_ENDPOINT: string; IDENTITY_HEADER: string };
  readonly port: number;
  readonly tenantId: string;
  /** The identity's client id. The log has it even if the app does not send it. */
  readonly clientId: string;
  /** The value for a registry's `entraKeysFile`. */
  readonly publicKeysFile: string;
  readonly log: readonly IdentityLogEntry[];
  readonly logFile: string;
  close(): Promise<void>;
}

/**
 * Starts App Service's managed-identity endpoint, for ManagedIdentityCredential of `@azure/identity`. Only registries
 * that know its public keys (the local ones) accept its tokens.
 * @throws Refusal `PORT_IN_USE`
 * @see https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference
 */
export async function startIdentity(options: IdentityOptions): Promise<RunningIdentity> {
  const keys = await loadKeys(options.dataDir);
  const log = new JsonLinesFile(join(options.dataDir, 'identity-requests.jsonl'), LOG_BYTES);
  const recent: IdentityLogEntry[] = [];
  const secret = options.secret ?? keys.secret;
  const server = createServer((request, response) => {
    void answer(request, keys, secret, options.tokenSeconds ?? 24 * 3600).then(({ entry, status, body }) => {
      log.append(entry);
      if (recent.push(entry) > RECENT) recent.shift();
      send(response, status, body);
    });
  });
  const { host, port } = await listen(server, options.port ?? 0, options.host ?? '127.0.0.1');
  return {
    environment: { IDENTITY_ENDPOINT: `http://${host}:${port}${PATH}`, IDENTITY_HEADER: secret },
    port,
    tenantId: keys.tenantId,
    clientId: keys.clientId,
    publicKeysFile: keys.publicKeysFile,
    log: recent,
    logFile: log.path,
    close: async () => {
      await closeServer(server);
      log.close();
    },
  };
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.req.resume();
  sendJson(response, status, body);
}

interface Answer {
  entry: IdentityLogEntry;
  status: number;
  body: unknown;
}

async function answer(
  request: IncomingMessage,
  keys: IdentityKeys,
  secret: string,
  tokenSeconds: number,
): Promise<Answer> {
  const url = new URL(request.url ?? '/', 'http://identity');
  const resource = (url.searchParams.get('resource') ?? '').replace(/\/\.default$/, '').replace(/\/$/, '');
  const clientId = url.searchParams.get('client_id') ?? keys.clientId;
  const finish = (status: number, body: unknown): Answer => ({
    entry: {
      time: new Date().toISOString(),
      resource,
      clientId,
      userAgent: String(request.headers['user-agent'] ?? request.headers['x-client-sku'] ?? ''),
      status,
    },
    status,
    body,
  });
  const fail = (status: number, message: string) => finish(status, { statusCode: status, message });
  const { origin, 'sec-fetch-site': site } = request.headers;
  // A token is a credential, so no web page may get one, not even one from this machine.
  const browser = (origin ?? site) === undefined ? undefined : 'the request comes from a browser';
  const refused = refusedAsForeign(request) ?? browser;
  if (refused !== undefined) return fail(403, refused);
  if (url.pathname !== PATH || request.method !== 'GET') return fail(404, 'no such endpoint');
  if (!sameText(String(request.headers['x-identity-header'] ?? ''), secret)) {
    return fail(401, 'X-IDENTITY-HEADER is missing or wrong');
  }
  if (url.searchParams.get('api-version') !== API_VERSION) return fail(400, `api-version must be ${API_VERSION}`);
  if (resource === '') return fail(400, 'resource is missing');
  if (clientId !== keys.clientId) return fail(400, 'no identity with this client_id is assigned to the app');
  const expiresAt = Math.floor(Date.now() / 1000) + tokenSeconds;
  const token = await issue(keys, resource, expiresAt);
  return finish(200, {
    access_token: token,
    expires_on: String(expiresAt),
    resource,
    token_type: 'Bearer',
    client_id: clientId,
  });
}

async function issue(keys: IdentityKeys, resource: string, expiresAt: number): Promise<string> {
  return await new SignJWT({ appid: keys.clientId, oid: keys.objectId, tid: keys.tenantId, ver: '1.0', idtyp: 'app' })
    .setProtectedHeader({ alg: 'ES256', typ: 'JWT', kid: keys.keyId })
    .setJti(randomUUID())
    .setSubject(keys.objectId)
    .setIssuer(`https://sts.windows.net/${keys.tenantId}/`)
    .setAudience(resource)
    .setIssuedAt()
    .setNotBefore('0s')
    .setExpirationTime(expiresAt)
    .sign(keys.privateKey);
}

function sameText(a: string, b: string): boolean {
  return timingSafeEqual(hashText(a), hashText(b));
}

function hashText(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
