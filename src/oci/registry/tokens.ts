import { createHash } from 'node:crypto';
import { isRecord } from '../descriptor.js';
import { PolicyError, RegistryError } from '../errors.js';
import { readBounded } from './body.js';
import type { Credential, Credentials } from './credentials.js';
import { registryErrorFrom } from './error-from-answer.js';
import { Shared } from './shared.js';
import type { Transport, TransportRequest } from './transport.js';

/** Bytes of a token endpoint's answer. `TOO_LARGE` */
const TOKEN_BYTES = 1024 * 1024;
/** Tokens kept; past that the oldest is got anew when it is needed. */
const MOST_TOKENS = 2000;

/** What a Bearer challenge says of where tokens are to be had. */
export interface Realm {
  /** Absolute. */
  url: URL;
  service: string | undefined;
}

export interface TokenOptions {
  credentials: Credentials;
  /** Hosts, besides the registry's own, whose token endpoints may see its credential. */
  trustedRealms: ReadonlySet<string>;
  /** Hosts that may be asked without a credential; by default all. */
  mayAsk: (host: string) => boolean;
}

interface Held {
  token: string;
  /** `performance.now()` from when on it is renewed. */
  renewAtMs: number;
}

/** Where a token says nothing of its life, the specification's minute counts. */
const DEFAULT_LIFETIME_S = 60;
/** ACR's refresh tokens live three hours; those that don't say so are kept for one. */
const DEFAULT_REFRESH_LIFETIME_S = 3600;
const MOST_MARGIN_S = 60;

/** What a JWT says, unverified; undefined where the token is none. */
function claimsOf(token: string): Record<string, unknown> | undefined {
  const payload = token.split('.')[1];
  if (payload === undefined) return undefined;
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
    return isRecord(claims) ? claims : undefined;
  } catch {
    return undefined;
  }
}

/** The `exp` of a JWT, as seconds from its own `iat`, so that a wrong clock here doesn't matter. */
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

/** Who an Entra token speaks for: a renewed one for the same as the one before. One that says nothing stands for itself. */
function subjectOf(accessToken: string): unknown[] {
  const { tid, oid, sub, appid, azp } = claimsOf(accessToken) ?? {};
  return oid === undefined && sub === undefined ? [accessToken] : [tid, oid, sub, appid ?? azp];
}

/** Tells identities apart without keeping what they are proved by. */
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

/** ACR's endpoint, and its likes: POST with a grant, also for anonymous, and `scope` repeated. */
export function isAcrRealm(realm: Realm): boolean {
  return realm.url.pathname === '/oauth2/token';
}

function form(fields: readonly (readonly [string, string | undefined])[]): Uint8Array {
  const parameters = new URLSearchParams();
  for (const [name, value] of fields) if (value !== undefined) parameters.append(name, value);
  return new TextEncoder().encode(parameters.toString());
}

/** Gets and keeps tokens: one for each registry, set of scopes and identity, one request in flight for each. */
export class Tokens {
  readonly #transport: Transport;
  readonly #options: TokenOptions;
  readonly #access = new Map<string, Held>();
  readonly #refresh = new Map<string, Held>();
  readonly #pending = new Map<string, Shared<Held>>();
  /** The last known identity for each registry: asking for the credential may mean starting a program. */
  readonly #identities = new Map<string, string>();

  constructor(transport: Transport, options: TokenOptions) {
    this.#transport = transport;
    this.#options = options;
  }

  /**
   * A token for these scopes; `refused` is one that the registry would not take, so that another is got.
   * @throws PolicyError `REALM_NOT_TRUSTED`; RegistryError of the token endpoint
   */
  async get(
    registry: string,
    realm: Realm,
    scopes: readonly string[],
    options: { refused?: string | undefined; signal?: AbortSignal | undefined } = {},
  ): Promise<string> {
    const key = (): string =>
      JSON.stringify([registry, realm.url.href, realm.service, scopes, this.#identities.get(registry)]);
    const held = this.#access.get(key());
    if (held !== undefined && held.token !== options.refused && performance.now() < held.renewAtMs) return held.token;
    const flight = JSON.stringify([registry, realm.url.href, realm.service, scopes]);
    const fresh = await this.#once(flight, options.signal, async (signal) => {
      const fetched = await this.#fetch(registry, realm, scopes, signal);
      this.#access.delete(key());
      this.#access.set(key(), fetched);
      const oldest = this.#access.size > MOST_TOKENS ? this.#access.keys().next().value : undefined;
      if (oldest !== undefined) this.#access.delete(oldest);
      return fetched;
    });
    return fresh.token;
  }

  /** Joins what is under way under this key, or begins it. */
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

  /** The credential, or none where the realm is not to see it. */
  #admit(registry: string, realm: Realm, credential: Credential): Credential {
    const { host } = realm.url;
    if (host === registry || this.#options.trustedRealms.has(host)) return credential;
    if (this.#options.mayAsk(host)) return { kind: 'anonymous' };
    throw new PolicyError('REALM_NOT_TRUSTED', `${registry} asks for tokens of ${host}, which is not trusted`, {
      details: { registry, realm: host },
      remedy: `If ${host} does belong to ${registry}, add it to the trusted realms.`,
    });
  }

  async #anonymous(realm: Realm, scopes: readonly string[], signal: AbortSignal): Promise<Held> {
    if (isAcrRealm(realm)) {
      try {
        return await this.#byPost(realm, scopes, [['grant_type', 'password']], signal);
      } catch (error) {
        // Not ACR after all: the path alone says little.
        if (!(error instanceof RegistryError) || ![400, 404, 405].includes(error.info.status)) throw error;
      }
    }
    return this.#byGet(realm, scopes, {}, signal);
  }

  async #byRefreshToken(
    realm: Realm,
    scopes: readonly string[],
    refreshToken: string,
    signal: AbortSignal,
  ): Promise<Held> {
    return this.#byPost(
      realm,
      scopes,
      [
        ['grant_type', 'refresh_token'],
        ['refresh_token', refreshToken],
      ],
      signal,
    );
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
        // Revoked before its time: exchange anew, once.
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

  /** Entra's token for one of the registry. @see https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md */
  async #exchange(
    realm: Realm,
    credential: Extract<Credential, { kind: 'entra' }>,
    signal: AbortSignal,
  ): Promise<Held> {
    const url = new URL('/oauth2/exchange', realm.url).href;
    const answer = await this.#ask({
      method: 'POST',
      url,
      kind: 'api',
      repeatable: true,
      signal,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: form([
        ['grant_type', 'access_token'],
        ['service', realm.service ?? realm.url.host],
        ['tenant', credential.tenant],
        ['access_token', credential.accessToken],
      ]),
    });
    return this.#held(answer, url, ['refresh_token'], DEFAULT_REFRESH_LIFETIME_S);
  }

  async #byPost(
    realm: Realm,
    scopes: readonly string[],
    grant: readonly (readonly [string, string])[],
    signal: AbortSignal,
  ): Promise<Held> {
    const acr = isAcrRealm(realm);
    const answer = await this.#ask({
      method: 'POST',
      url: realm.url.href,
      kind: 'api',
      repeatable: true,
      signal,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: form([
        ...grant,
        ['service', realm.service],
        // Docker's OAuth2 endpoints want a client id and one field of scopes; ACR repeats the field.
        ['client_id', acr ? undefined : 'acr-promoter'],
        ...(acr || scopes.length === 0
          ? scopes.map((scope) => ['scope', scope] as const)
          : [['scope', scopes.join(' ')] as const]),
      ]),
    });
    return this.#held(answer, realm.url.href, ['access_token', 'token'], DEFAULT_LIFETIME_S);
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

  async #ask(request: TransportRequest): Promise<unknown> {
    const response = await this.#transport.send(request);
    const { host } = new URL(request.url);
    if (response.status !== 200) throw await registryErrorFrom(response, request, `token endpoint of ${host}`);
    const bytes = await readBounded(response, TOKEN_BYTES);
    try {
      return JSON.parse(new TextDecoder().decode(bytes));
    } catch {
      return undefined;
    }
  }

  #held(answer: unknown, url: string, names: readonly string[], defaultSeconds: number): Held {
    const fields = isRecord(answer) ? answer : {};
    const token = names.map((name) => fields[name]).find((value) => typeof value === 'string' && value !== '');
    if (typeof token === 'string' && /^[!-~]+$/.test(token)) return hold(token, fields.expires_in, defaultSeconds);
    const { host, pathname } = new URL(url);
    throw new RegistryError(
      `token endpoint of ${host}: its answer holds no token`,
      { method: 'POST', url: `${host}${pathname}`, status: 200, registryCodes: [] },
      { code: 'TOKEN_INVALID' },
    );
  }
}

/** A stored token that was good once; ACR's live three hours. */
function expired(registry: string, cause: RegistryError): RegistryError {
  return new RegistryError(`${registry} no longer takes the stored sign-in: ${cause.message}`, cause.info, {
    code: 'TOKEN_EXPIRED',
    cause,
    remedy: 'Sign in again: az acr login, or acr-promoter login; such a token of ACR lives three hours.',
  });
}

export function basicAuthorization(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`, 'utf8').toString('base64')}`;
}
