import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { AccessToken, TokenCredential } from '@azure/identity';
import { createDefaultHttpClient, type HttpClient } from '@azure/core-rest-pipeline';

export const VAULT = 'https://contoso.vault.azure.net';

interface Answer {
  status: number;
  code?: string;
}

/** Key Vault's secrets, as far as the SDK asks for them: the challenge, `api-version`, the bearer token. */
export interface FakeVault {
  /** By name, or by `name/version`. */
  secrets: Map<string, string>;
  /** Answers instead of the next ones. */
  faults: Answer[];
  /** `GET /secrets/name/` with whether a token came along. */
  asked: { path: string; signedIn: boolean }[];
  /** The scopes that tokens were asked for. */
  scopes: string[];
  credential: TokenCredential;
  /** Leads the SDK here: it takes the vault for what its URL says. */
  httpClient: HttpClient;
  close(): void;
}

const TOKEN = 'vault-token';

export async function startFakeVault(): Promise<FakeVault> {
  const scopes: string[] = [];
  const credential = {
    getToken: async (scope: string | string[]): Promise<AccessToken> => {
      scopes.push(...[scope].flat());
      return { token: TOKEN, expiresOnTimestamp: Date.now() + 3_600_000 };
    },
  };
  const server: Server = createServer((request, response) => {
    const { status, headers, body } = answer(vault, request);
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  const client = createDefaultHttpClient();
  const vault: FakeVault = {
    secrets: new Map(),
    faults: [],
    asked: [],
    scopes,
    credential,
    httpClient: {
      sendRequest: async (request) => {
        const url = new URL(request.url);
        if (url.origin !== VAULT) throw new Error(`${url.origin} is asked`);
        request.url = `http://127.0.0.1:${port}${url.pathname}${url.search}`;
        request.allowInsecureConnection = true;
        const response = await client.sendRequest(request);
        request.url = url.href;
        return response;
      },
    },
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
  return vault;
}

function answer(vault: FakeVault, request: IncomingMessage): { status: number; headers?: object; body: unknown } {
  const url = new URL(request.url ?? '', VAULT);
  const signedIn = request.headers.authorization === `Bearer ${TOKEN}`;
  vault.asked.push({ path: url.pathname, signedIn });
  const failed = (status: number, code: string, headers: object = {}) => ({
    status,
    headers,
    body: { error: { code, message: `${code} in words` } },
  });
  if (!/^(?:\d\.\d|\d{4}-\d\d-\d\d)$/.test(url.searchParams.get('api-version') ?? ''))
    return failed(400, 'BadParameter');
  if (!signedIn) {
    const challenge =
      'Bearer authorization="https://login.microsoftonline.com/11111111-1111-4111-8111-111111111111", resource="https://vault.azure.net"';
    return failed(401, 'Unauthorized', { 'www-authenticate': challenge });
  }
  const fault = vault.faults.shift();
  if (fault !== undefined) return failed(fault.status, fault.code ?? 'Fault', { 'retry-after-ms': '1' });
  const [, name = '', version = ''] = /^\/secrets\/([^/]+)\/?([^/]*)$/.exec(url.pathname) ?? [];
  const value = vault.secrets.get(version === '' ? name : `${name}/${version}`);
  if (value === undefined) return failed(404, 'SecretNotFound');
  return {
    status: 200,
    body: { value, id: `${VAULT}/secrets/${name}/${version === '' ? 'a'.repeat(32) : version}`, attributes: {} },
  };
}
