import { createHash, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createLocalJWKSet, jwtVerify, type JSONWebKeySet } from 'jose';
import type { Grant, RegistryOptions, User } from '../options.js';
import { Refusal } from '../refusal.js';
import type { Tokens } from './tokens.js';

/** The user name that `az acr login` stores with a refresh token. */
const TOKEN_USER = '00000000-0000-0000-0000-000000000000';
const ACR_AUDIENCE = 'https://containerregistry.azure.net';
/**
 * The audience of Azure Resource Manager. ACR accepts its tokens too, unless the registry forbids it
 * (`azureADAuthenticationAsArmPolicy`).
 */
const ARM_AUDIENCE = 'https://management.azure.com';

/** Somebody who signed in: a name for tokens and logs, and their grants (undefined: everything). */
export interface Principal {
  subject: string;
  grants?: Grant[];
}

/** Who may sign in: with a password, an Entra token or a refresh token. */
export class Principals {
  readonly #users: User[];
  readonly #tokens: Tokens;
  readonly #keysFile: string | undefined;
  readonly #audiences: string[];

  constructor({ users = [], entraKeysFile, quirks = {} }: RegistryOptions, tokens: Tokens) {
    this.#users = users;
    this.#tokens = tokens;
    this.#keysFile = entraKeysFile;
    const audiences = quirks.refuseArmAudience === true ? [ACR_AUDIENCE] : [ACR_AUDIENCE, ARM_AUDIENCE];
    this.#audiences = audiences.flatMap((audience) => [audience, `${audience}/`]);
  }

  async byPassword(name: string, password: string): Promise<Principal | undefined> {
    if (name === TOKEN_USER) return await this.byRefreshToken(password);
    const user = this.#users.find((candidate) => candidate.name === name);
    const right = sameText(user?.password ?? '', password);
    return user !== undefined && right ? this.bySubject(`user:${name}`) : undefined;
  }

  async byRefreshToken(token: string): Promise<Principal | undefined> {
    const subject = await this.#tokens.checkRefresh(token);
    return subject === undefined ? undefined : this.bySubject(subject);
  }

  /** Verifies a token that the identity endpoint issued for a registry. @throws Refusal 401 `UNAUTHORIZED` */
  async byEntraToken(token: string): Promise<Principal> {
    if (this.#keysFile === undefined) throw unauthorized('this registry has no issuer of Entra tokens configured');
    try {
      const keys = JSON.parse(await readFile(this.#keysFile, 'utf8')) as JSONWebKeySet;
      const { payload } = await jwtVerify(token, createLocalJWKSet(keys), {
        algorithms: ['ES256'],
        audience: this.#audiences,
        requiredClaims: ['exp', 'oid'],
      });
      const id = typeof payload.appid === 'string' ? payload.appid : String(payload.oid);
      const principal = this.bySubject(`entra:${id}`);
      if (principal !== undefined) return principal;
    } catch (cause) {
      throw unauthorized('the Entra token is not valid for this registry', cause);
    }
    throw unauthorized('the Entra token is not valid for this registry');
  }

  /** Finds the subject of a refresh token; undefined if the user no longer exists. */
  bySubject(subject: string): Principal | undefined {
    const [kind, id] = splitOnce(subject);
    if (kind !== 'user') return { subject };
    const user = this.#users.find(({ name }) => name === id);
    return user && { subject, ...(user.grants !== undefined && { grants: user.grants }) };
  }
}

export function unauthorized(message: string, cause?: unknown): Refusal {
  return new Refusal(401, 'UNAUTHORIZED', message, { cause });
}

function splitOnce(text: string): [string, string] {
  const colon = text.indexOf(':');
  return [text.slice(0, colon), text.slice(colon + 1)];
}

function sameText(a: string, b: string): boolean {
  return timingSafeEqual(hashText(a), hashText(b));
}

function hashText(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
