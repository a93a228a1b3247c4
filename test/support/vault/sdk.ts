import { createHttpHeaders, type HttpClient } from '@azure/core-rest-pipeline';
import type { AccessToken, TokenCredential } from '@azure/identity';
import type { Vault } from './vault.js';

/** Leads Microsoft's clients to a vault in memory: it takes the vault for what its URL says. Any other address fails. */
export function httpClientOf(vault: Vault): HttpClient {
  return {
    async sendRequest(request) {
      const { origin } = new URL(request.url);
      if (origin !== vault.url) throw new Error(`${origin} is asked`);
      const body =
        typeof request.body === 'string' && request.body !== '' ? (JSON.parse(request.body) as unknown) : null;
      const answer = vault.answer(request.method, request.url, request.headers.get('authorization'), body);
      const headers = createHttpHeaders({ 'content-type': 'application/json; charset=utf-8', ...answer.headers });
      return { request, status: answer.status, headers, bodyAsText: JSON.stringify(answer.body) };
    },
  };
}

/** An identity of the vault's tenant; its tokens are for whatever they are asked for. */
export interface FakeIdentity extends TokenCredential {
  /** The scopes that tokens were asked for. */
  scopes: string[];
}

export function identityOf(tenantId = '11111111-1111-4111-8111-111111111111', audience?: string): FakeIdentity {
  const scopes: string[] = [];
  return {
    scopes,
    getToken: async (scope): Promise<AccessToken> => {
      scopes.push(...[scope].flat());
      const aud = audience ?? [scope].flat()[0]?.replace(/\/\.default$/, '');
      return {
        token: tokenOf({ aud, iss: `https://sts.windows.net/${tenantId}/` }),
        expiresOnTimestamp: Date.now() + 3_600_000,
      };
    },
  };
}

function tokenOf(claims: object): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'none', typ: 'JWT' })}.${part(claims)}.`;
}
