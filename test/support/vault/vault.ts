import { createHash, randomBytes } from 'node:crypto';
import { ANSWERS, type Answer } from './answers.js';
import { bundleOf, itemOf, newKeyVersion, signDigest, type KeyKind, type KeyVersion } from './vault-keys.js';

/** One request that came, and how it was answered. */
export interface Asked {
  method: string;
  path: string;
  signedIn: boolean;
  status: number;
}

export interface VaultOptions {
  /** `contoso` */
  name?: string;
  tenantId?: string;
  now?: () => number;
}

interface StoredCertificate {
  version: string;
  der: Uint8Array;
  keyId: string;
}

const TENANT = '11111111-1111-4111-8111-111111111111';
const AUDIENCE = 'https://vault.azure.net';
/** Versions that Microsoft's clients of the last years send. */
const API_VERSION = /^(?:7\.[0-6]|202[5-9]-\d\d-\d\d)$/;
const PAGE = 25;

/**
 * A stand-in for one vault of Azure Key Vault, as its REST specification has it: keys (get, list versions, sign), certificates (get)
 * and secrets (get), the challenge, roles, disabled and expired versions, throttling. Kept in memory; never deployed.
 * @see https://learn.microsoft.com/rest/api/keyvault
 */
export class Vault {
  readonly url: string;
  /** Role assignments: which actions are allowed now. All of them by default. */
  allows: (action: string) => boolean = () => true;
  /** What the challenge names as its resource. */
  resource = AUDIENCE;
  /** Answers instead of the next ones, after the sign-in. */
  readonly faults: Answer[] = [];
  /** Answers instead of each request, for as long as it answers. */
  trouble: () => Answer | undefined = () => undefined;
  readonly asked: Asked[] = [];
  /** Where lists go on: the vault itself by default. */
  nextLinkOrigin: string;
  readonly secrets = new Map<string, string>();
  readonly #name: string;
  readonly #tenantId: string;
  readonly #now: () => number;
  readonly #keys = new Map<string, KeyVersion[]>();
  readonly #certificates = new Map<string, StoredCertificate[]>();

  constructor({ name = 'contoso', tenantId = TENANT, now = Date.now }: VaultOptions = {}) {
    this.#name = name;
    this.url = `https://${name}.vault.azure.net`;
    this.nextLinkOrigin = this.url;
    this.#tenantId = tenantId;
    this.#now = now;
  }

  /** A new version of a key, which is made with its first; it is the newest from now on. */
  rotate(name: string, kind: KeyKind = 'P-256'): KeyVersion {
    const versions = this.#keys.get(name) ?? [];
    // Times are whole seconds, and versions are told apart by them.
    const last = versions[0]?.createdMs ?? -Infinity;
    const made = newKeyVersion(`${this.url}/keys/${name}`, kind, Math.max(this.#now(), last + 1000), versions.length);
    this.#keys.set(name, [made, ...versions]);
    return made;
  }

  /** Deletes a key with all its versions. */
  remove(name: string): void {
    this.#keys.delete(name);
  }

  /** @returns the id of this version */
  putCertificate(name: string, der: Uint8Array, keyId = ''): string {
    const version = randomBytes(16).toString('hex');
    this.#certificates.set(name, [{ version, der, keyId }, ...(this.#certificates.get(name) ?? [])]);
    return `${this.url}/certificates/${name}/${version}`;
  }

  answer(method: string, target: string, authorization: string | undefined, body: unknown): Answer {
    const url = new URL(target, this.url);
    const signedOut = this.#challenge(authorization);
    const answer =
      this.#versionProblem(url) ?? signedOut ?? this.trouble() ?? this.faults.shift() ?? this.#route(method, url, body);
    this.asked.push({ method, path: url.pathname, signedIn: signedOut === undefined, status: answer.status });
    return answer;
  }

  #versionProblem({ searchParams }: URL): Answer | undefined {
    const version = searchParams.get('api-version');
    if (version === null) return ANSWERS.noApiVersion();
    return API_VERSION.test(version) ? undefined : ANSWERS.unknownApiVersion(version);
  }

  #challenge(authorization = ''): Answer | undefined {
    const challenge = `Bearer authorization="https://login.microsoftonline.com/${this.#tenantId}", resource="${this.resource}"`;
    const [, token] = /^Bearer (\S+)$/.exec(authorization) ?? [];
    if (token === undefined) {
      return ANSWERS.unauthorized('AKV10000: Request is missing a Bearer or PoP token.', challenge);
    }
    const { aud, iss } = claimsOf(token);
    if (aud !== AUDIENCE) {
      return ANSWERS.unauthorized(
        `AKV10022: Invalid audience. Expected ${AUDIENCE}, found: ${String(aud)}.`,
        challenge,
      );
    }
    const issuer = `https://sts.windows.net/${this.#tenantId}/`;
    if (iss !== issuer) {
      return ANSWERS.unauthorized(
        `AKV10032: Invalid issuer. Expected one of ${issuer}, found ${String(iss)}.`,
        challenge,
      );
    }
    return undefined;
  }

  #route(method: string, url: URL, body: unknown): Answer {
    const [, collection, name = '', version = '', operation = ''] = url.pathname.split('/');
    const route = `${method} ${collection}${version === 'versions' ? '/versions' : ''}${operation === '' ? '' : `/${operation}`}`;
    const may = (action: string, work: () => Answer): Answer => {
      const full = `Microsoft.KeyVault/vaults/${action}`;
      const resource = `/subscriptions/00000000-0000-0000-0000-000000000000/resourcegroups/rg/providers/microsoft.keyvault/vaults/${this.#name}/${collection}/${name}`;
      return this.allows(full) ? work() : ANSWERS.forbiddenByRbac(full, resource);
    };
    switch (route) {
      case 'GET keys':
        return may('keys/read', () => {
          const key = this.#key(name, version);
          return key === undefined ? ANSWERS.keyNotFound(name) : { status: 200, body: bundleOf(key) };
        });
      case 'GET keys/versions':
        return may('keys/read', () => this.#page(name, url));
      case 'POST keys/sign':
        return may('keys/sign/action', () => {
          const key = this.#key(name, version);
          return key === undefined ? ANSWERS.keyNotFound(name) : signDigest(key, body, this.#now());
        });
      case 'GET certificates':
        return may('certificates/read', () => this.#certificate(name, version));
      case 'GET secrets':
        return may('secrets/getSecret/action', () => this.#secret(name, version));
      default:
        return ANSWERS.badParameter(`no ${route} here`);
    }
  }

  #key(name: string, version: string): KeyVersion | undefined {
    const versions = this.#keys.get(name) ?? [];
    return version === '' ? versions[0] : versions.find((each) => each.version === version);
  }

  /** Oldest first: the specification promises no order. */
  #page(name: string, url: URL): Answer {
    const versions = this.#keys.get(name);
    if (versions === undefined) return ANSWERS.keyNotFound(name);
    const from = Number(url.searchParams.get('$skiptoken') ?? 0);
    const next = `${this.nextLinkOrigin}/keys/${name}/versions?api-version=${url.searchParams.get('api-version')}&$skiptoken=${from + PAGE}`;
    const value = versions
      .toReversed()
      .slice(from, from + PAGE)
      .map(itemOf);
    return { status: 200, body: { value, nextLink: from + PAGE < versions.length ? next : null } };
  }

  #certificate(name: string, version: string): Answer {
    const versions = this.#certificates.get(name) ?? [];
    const found = version === '' ? versions[0] : versions.find((each) => each.version === version);
    if (found === undefined) return ANSWERS.certificateNotFound(name);
    const created = Math.floor(this.#now() / 1000);
    return {
      status: 200,
      body: {
        id: `${this.url}/certificates/${name}/${found.version}`,
        kid: found.keyId,
        sid: `${this.url}/secrets/${name}/${found.version}`,
        x5t: createHash('sha1').update(found.der).digest('base64url'),
        cer: Buffer.from(found.der).toString('base64'),
        attributes: { enabled: true, created, updated: created },
        policy: { id: `${this.url}/certificates/${name}/policy` },
      },
    };
  }

  #secret(name: string, version: string): Answer {
    const value = this.secrets.get(version === '' ? name : `${name}/${version}`);
    if (value === undefined) return ANSWERS.secretNotFound(name);
    const id = `${this.url}/secrets/${name}/${version === '' ? 'a'.repeat(32) : version}`;
    return { status: 200, body: { value, id, attributes: { enabled: true } } };
  }
}

/** Of a JWT, whose signature is the identity endpoint's business. */
function claimsOf(token: string): { aud?: unknown; iss?: unknown } {
  try {
    return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) as object;
  } catch {
    return {};
  }
}
