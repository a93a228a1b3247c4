import { randomBytes, randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errors, jwtVerify, SignJWT, type JWTPayload } from 'jose';
import type { Access } from './scope.js';

const ISSUER = 'Azure Container Registry';
/** Verified tokens are cached, because a client sends the same one thousands of times. */
const REMEMBERED = 1000;

export interface AccessToken {
  subject: string;
  access: Access[];
  expiresAt: number;
}

/** Issues and checks the registry's own tokens: JWTs with `access` and `exp`, like ACR's. */
export class Tokens {
  readonly #secret: Uint8Array;
  readonly #audience: string;
  readonly #lifetimes: { access: number; refresh: number };
  readonly #known = new Map<string, AccessToken>();

  constructor(secret: Uint8Array, audience: string, lifetimes: { access: number; refresh: number }) {
    this.#secret = secret;
    this.#audience = audience;
    this.#lifetimes = lifetimes;
  }

  async issueAccess(subject: string, access: Access[]): Promise<string> {
    return await this.#sign({ version: '1.0', grant_type: 'access_token', access }, subject, this.#lifetimes.access);
  }

  async issueRefresh(subject: string): Promise<string> {
    const permissions = { actions: ['read', 'write', 'delete'] };
    return await this.#sign(
      { version: '1.0', grant_type: 'refresh_token', permissions },
      subject,
      this.#lifetimes.refresh,
    );
  }

  /** @returns what the token allows, or why it is not valid */
  async checkAccess(token: string): Promise<AccessToken | 'expired' | 'invalid'> {
    const known = this.#known.get(token);
    if (known !== undefined) return known.expiresAt > Date.now() ? known : 'expired';
    const payload = await this.#verify(token, 'access_token');
    if (typeof payload === 'string') return payload;
    const found: AccessToken = {
      subject: payload.sub ?? '',
      access: payload.access as Access[],
      expiresAt: (payload.exp ?? 0) * 1000,
    };
    if (this.#known.size >= REMEMBERED) this.#known.clear();
    this.#known.set(token, found);
    return found;
  }

  /** @returns the subject of a refresh token; undefined if it is not valid */
  async checkRefresh(token: string): Promise<string | undefined> {
    const payload = await this.#verify(token, 'refresh_token');
    return typeof payload === 'string' ? undefined : payload.sub;
  }

  async #sign(claims: JWTPayload, subject: string, seconds: number): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    return await new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setJti(randomUUID())
      .setSubject(subject)
      .setIssuer(ISSUER)
      .setAudience(this.#audience)
      .setIssuedAt(now)
      .setNotBefore(now)
      .setExpirationTime(now + seconds)
      .sign(this.#secret);
  }

  async #verify(token: string, grantType: string): Promise<JWTPayload | 'expired' | 'invalid'> {
    try {
      const { payload } = await jwtVerify(token, this.#secret, {
        algorithms: ['HS256'],
        issuer: ISSUER,
        audience: this.#audience,
        requiredClaims: ['sub', 'exp'],
      });
      return payload.grant_type === grantType ? payload : 'invalid';
    } catch (error) {
      return error instanceof errors.JWTExpired ? 'expired' : 'invalid';
    }
  }
}

/** Reads the secret from the data folder. Makes it if there is none. */
export function keptSecret(folder: string): Uint8Array {
  const path = join(folder, 'token-secret');
  try {
    writeFileSync(path, randomBytes(32).toString('base64'), { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  return Buffer.from(readFileSync(path, 'utf8'), 'base64');
}
