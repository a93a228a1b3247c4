import { createHash } from 'node:crypto';
import { parseObject } from '../descriptor.js';
import { answerError, PolicyError, RegistryError } from '../errors.js';
import { readBounded } from './body.js';
import { remember } from '../memo.js';
import type { Credential, Credentials } from './credentials.js';
import { registryErrorFrom } from './error-from-answer.js';
import { Shared } from '../concurrency.js';
import type { Transport, TransportRequest } from './transport.js';

/** Maximum bytes of a token endpoint's answer. `TOO_LARGE` */
const TOKEN_BYTES = 1024 * 1024;
/** Maximum cached tokens; the oldest is dropped first. */
const MOST_TOKENS = 2000;

/** The token endpoint that a Bearer challenge names. */
export interface Realm {
  /** Absolute. */
  url: URL;
  service: string | undefined;
}

export interface TokenOptions {
  credentials: Credentials;
  /** Hosts that may be asked for a token without a credential. */
  mayAsk: (host: string) => boolean;
}

/** Hosts of token endpoints that may receive a registry's credential: those of Docker Hub and GitLab.com. */
const TRUSTED_REALMS = new Set(['auth.docker.io', 'gitlab.com']);

interface Held {
  token: string;
  /** Value of `performance.now()` from which the token is renewed. */
  renewAtMs: number;
}

/** Lifetime of a token that does not state one, as in the specification. */
const DEFAULT_LIFETIME_S = 60;
/** ACR's refresh tokens live three hours. One that does not state its lifetime is used for one hour. */
const DEFAULT_REFRESH_LIFETIME_S = 3600;
const MOST_MARGIN_S = 60;

/** The claims of a JWT, unverified. Undefined if the token is not a JWT. */
function claimsOf(token: string): Record<string, unknown> | undefined {
  const payload = token.split('.')[1];
  if (payload === undefined) return undefined;
  return parseObject(Buffer.from(payload, 'base64url'));
}

/** Seconds from `iat` to `exp` of a JWT, so that a wrong local clock does not matter. */
function jwtLifetime(token: string): number | undefined {
  const claims = claimsOf(token);
  if (typeof claims?.exp !== 'number') return undefined;
  return claims.exp - (typeof claims.iat === 'number' ? claims.iat : Date.now() / 1000);
}

function hold(token: string, expiresIn: unknown, defaultSeconds: number): Held {
  const said = typeof expiresIn === 'number' && expiresIn > 0 ? expiresIn : undefined;
  const lifetime = Math.max(0, Math.min(said ?? Infinity, jwtLifetime(token) ?? said ?? defaultSeconds));
  const margin = Math.min(MOST_MARGIN_S, lifetime / 5);
  return { token, renewAtMs: performance.now() + (lifetime - margin) * 1000 };
}

/**
 * The identity in an Entra token; it stays the same when the token is renewed. A token without these claims identifies
 * itself.
 */
function subjectOf(accessToken: string): unknown[] {
  const { tid, oid, sub, appid, azp } = claimsOf(accessToken) ?? {};
  return oid === undefined && sub === undefined ? [accessToken] : [tid, oid, sub, appid ?? azp];
}

/** Distinguishes identities without storing their secrets. */
function identityOf(credential: Credential): string {
  if (credential.kind === 'anonymous') return 'anonymous';
  const secret =
    credential.kind === 'entra'
      ? [credential.tenant, ...subjectOf(credential.accessToken)]
      : credential.kind === 'basic'
        ? [credential.username, credential.password]
        : [credential.refreshToken];
  return `${credential.kind} ${createHash('sha256').update(JSON.stringify(secret)).digest('hex')}`;
}

/**
 * True for a token endpoint like ACR's: it takes POST with a grant, also for anonymous access, and a repeated `scope`.
 */
export function isAcrRealm(realm: Realm): boolean {
  return realm.url.pathname === '/oauth2/token';
}

function form(fields: Readonly<Record<string, string | readonly string[] | undefined>>): Uint8Array {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(fields)) {
    for (const each of [value ?? []].flat()) parameters.append(name, each);
  }
  return new TextEncoder().encode(parameters.toString());
}

/**
 * Requests and caches tokens: one for each registry, set of scopes and identity. Concurrent callers share one request.
 */
export class Tokens {
  readonly #transport: Transport;
  readonly #options: TokenOptions;
  readonly #access = new Map<string, Held>();
  readonly #refresh = new Map<string, Held>();
  readonly #pending = new Map<string, Shared<Held>>();
  /** The last known identity for each registry, because finding the credential may start a program. */
  readonly #identities = new Map<string, string>();

  constructor(transport: Transport, options: TokenOptions) {
    this.#transport = transport;
    this.#options = options;
  }

  /**
   * Returns a token for these scopes.
   * @param options.refused a token that the registry has refused, so that a new one is requested
   * @throws PolicyError `REALM_NOT_TRUSTED`
   * @throws RegistryError of the token endpoint
   */
  async get(
    registry: string,
    realm: Realm,
    scopes: readonly string[],
    options: { refused?: string | undefined; signal?: AbortSignal | undefined } = {},
  ): Promise<string> {
    const flight = JSON.stringify([registry, realm.url.href, realm.service, scopes]);
    const key = (): string => `${flight} ${this.#identities.get(registry) ?? ''}`;
    const held = this.#access.get(key());
    if (held !== undefined && held.token !== options.refused && performance.now() < held.renewAtMs) return held.token;
    const fresh = await this.#once(flight, options.signal, async (signal) => {
      const fetched = await this.#fetch(registry, realm, scopes, signal);
      remember(this.#access, key(), fetched, MOST_TOKENS);
      return fetched;
    });
    return fresh.token;
  }

  /** Joins the request in progress for this key, or starts one. */
  #once(key: string, signal: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<Held>): Promise<Held> {
    const known = this.#pending.get(key);
    if (known !== undefined && !known.isAbandoned) return known.wait(signal);
    const pending = new Shared(work);
    this.#pending.set(key, pending);
    void pending.ended().then(() => this.#pending.get(key) === pending && this.#pending.delete(key));
    return pending.wait(signal);
  }

  async #fetch(registry: string, realm: Realm, scopes: readonly string[], signal: AbortSignal): Promise<Held> {
    const found = await this.#options.credentials.get(registry, signal);
    this.#identities.set(registry, identityOf(found));
    const credential = this.#admit(registry, realm, found);
    switch (credential.kind) {
      case 'anonymous':
        return this.#anonymous(realm, scopes, signal);
      case 'basic': {
        const authorization = basicAuthorization(credential.username, credential.password);
        return this.#byGet(realm, scopes, { authorization }, signal);
      }
      case 'refreshToken':
        return this.#byRefreshToken(realm, scopes, credential.refreshToken, signal).catch((error: unknown) => {
          throw error instanceof RegistryError && error.info.status === 401 ? expired(registry, error) : error;
        });
      case 'entra':
        return this.#byEntra(registry, realm, scopes, credential, signal);
    }
  }

  /** The credential if the realm may receive it, otherwise anonymous. */
  #admit(registry: string, realm: Realm, credential: Credential): Credential {
    const { host } = realm.url;
    if (host === registry || TRUSTED_REALMS.has(host)) return credential;
    if (this.#options.mayAsk(host)) return { kind: 'anonymous' };
    throw new PolicyError(
      'REALM_NOT_TRUSTED',
      `${registry} names ${host} as its token endpoint, which is not trusted`,
      {
        details: { registry, realm: host },
        remedy: `If ${host} belongs to ${registry}, add it to ALLOWED_REGISTRIES. It is then asked for tokens, without a credential.`,
      },
    );
  }

  async #anonymous(realm: Realm, scopes: readonly string[], signal: AbortSignal): Promise<Held> {
    if (isAcrRealm(realm)) {
      try {
        return await this.#byPost(realm, scopes, { grant_type: 'password' }, signal);
      } catch (error) {
        // The endpoint has ACR's path but is not ACR.
        if (!(error instanceof RegistryError) || ![400, 404, 405].includes(error.info.status)) throw error;
      }
    }
    return this.#byGet(realm, scopes, {}, signal);
  }

  #byRefreshToken(realm: Realm, scopes: readonly string[], refreshToken: string, signal: AbortSignal): Promise<Held> {
    return this.#byPost(realm, scopes, { grant_type: 'refresh_token', refresh_token: refreshToken }, signal);
  }

  async #byEntra(
    registry: string,
    realm: Realm,
    scopes: readonly string[],
    credential: Extract<Credential, { kind: 'entra' }>,
    signal: AbortSignal,
  ): Promise<Held> {
    const key = `${registry} ${identityOf(credential)}`;
    const held = this.#refresh.get(key);
    if (held !== undefined && performance.now() < held.renewAtMs) {
      try {
        return await this.#byRefreshToken(realm, scopes, held.token, signal);
      } catch (error) {
        // The refresh token was revoked: exchange once more.
        if (!(error instanceof RegistryError) || ![400, 401].includes(error.info.status)) throw error;
        this.#refresh.delete(key);
      }
    }
    let refresh: Held;
    try {
      refresh = await this.#once(`exchange ${key}`, signal, async (shared) => {
        const fresh = await this.#exchange(realm, credential, shared);
        this.#refresh.set(key, fresh);
        return fresh;
      });
    } catch (error) {
      if (credential.orAnonymous !== true || !(error instanceof RegistryError) || error.info.status !== 401)
        throw error;
      return this.#anonymous(realm, scopes, signal).catch(() => {
        throw error;
      });
    }
    return this.#byRefreshToken(realm, scopes, refresh.token, signal);
  }

  /**
   * Exchanges an Entra token for a refresh token of the registry.
   * @see https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md
   */
  async #exchange(
    realm: Realm,
    credential: Extract<Credential, { kind: 'entra' }>,
    signal: AbortSignal,
  ): Promise<Held> {
    const url = new URL('/oauth2/exchange', realm.url).href;
    const fields = {
      grant_type: 'access_token',
      service: realm.service ?? realm.url.host,
      tenant: credential.tenant,
      access_token: credential.accessToken,
    };
    return this.#held(await this.#post(url, fields, signal), url, ['refresh_token'], DEFAULT_REFRESH_LIFETIME_S);
  }

  async #byPost(
    realm: Realm,
    scopes: readonly string[],
    grant: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<Held> {
    const acr = isAcrRealm(realm);
    const url = realm.url.href;
    const fields = {
      ...grant,
      service: realm.service,
      // Docker's OAuth2 endpoints need a client id and one field with all scopes. ACR repeats the field.
      client_id: acr ? undefined : 'acr-promoter',
      scope: acr || scopes.length === 0 ? scopes : scopes.join(' '),
    };
    return this.#held(await this.#post(url, fields, signal), url, ['access_token', 'token'], DEFAULT_LIFETIME_S);
  }

  #post(url: string, fields: Parameters<typeof form>[0], signal: AbortSignal): Promise<Record<string, unknown>> {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    return this.#ask({ method: 'POST', url, kind: 'api', repeatable: true, signal, headers, body: form(fields) });
  }

  async #byGet(
    realm: Realm,
    scopes: readonly string[],
    headers: Record<string, string>,
    signal: AbortSignal,
  ): Promise<Held> {
    const url = new URL(realm.url);
    if (realm.service !== undefined) url.searchParams.set('service', realm.service);
    for (const scope of scopes) url.searchParams.append('scope', scope);
    const answer = await this.#ask({ method: 'GET', url: url.href, kind: 'api', headers, signal });
    return this.#held(answer, url.href, ['token', 'access_token'], DEFAULT_LIFETIME_S);
  }

  async #ask(request: TransportRequest): Promise<Record<string, unknown>> {
    const response = await this.#transport.send(request);
    const { host } = new URL(request.url);
    if (response.status !== 200) throw await registryErrorFrom(response, request, `token endpoint of ${host}`);
    return parseObject(await readBounded(response, TOKEN_BYTES)) ?? {};
  }

  #held(fields: Record<string, unknown>, url: string, names: readonly string[], defaultSeconds: number): Held {
    const token = names.map((name) => fields[name]).find((value) => typeof value === 'string' && value !== '');
    if (typeof token === 'string' && /^[!-~]+$/.test(token)) return hold(token, fields.expires_in, defaultSeconds);
    const { host, pathname } = new URL(url);
    const answer = { method: 'POST', url: `${host}${pathname}` };
    throw answerError('TOKEN_INVALID', `token endpoint of ${host}: the answer has no token`, answer);
  }
}

/** The stored token was valid before. ACR's live three hours. */
function expired(registry: string, cause: RegistryError): RegistryError {
  return new RegistryError(`${registry} no longer accepts the stored login: ${cause.message}`, cause.info, {
    code: 'TOKEN_EXPIRED',
    cause,
    remedy: 'Log in again with az acr login or acr-promoter login. Tokens of ACR expire after three hours.',
  });
}

export function basicAuthorization(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`, 'utf8').toString('base64')}`;
}
