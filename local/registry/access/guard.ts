import type { Call } from '../call.js';
import { Refusal } from '../refusal.js';
import { covers, formatScope, type Access } from './scope.js';
import type { Tokens } from './tokens.js';

/**
 * Requires a token of this registry that allows everything the request needs.
 * @throws Refusal 401 `UNAUTHORIZED`, with a challenge that says where to get a token
 */
export class Guard {
  readonly #tokens: Tokens;
  readonly #service: string;
  readonly #open: boolean;

  constructor(tokens: Tokens, service: string, open: boolean) {
    this.#tokens = tokens;
    this.#service = service;
    this.#open = open;
  }

  async admit(call: Call, needed: Access[]): Promise<void> {
    call.scope = needed.map(formatScope).join(' ');
    const access = await this.#accessOf(call);
    if (this.#open) return;
    if (access === undefined) throw this.#challenge(call, needed);
    if (typeof access === 'string') throw this.#challenge(call, needed, 'invalid_token');
    if (!needed.every((entry) => covers(access, entry))) throw this.#challenge(call, needed, 'insufficient_scope');
  }

  /** True if the request's token also allows this; always true if no token is required. */
  async allows(call: Call, wanted: Access): Promise<boolean> {
    if (this.#open) return true;
    const access = await this.#accessOf(call);
    return Array.isArray(access) && covers(access, wanted);
  }

  async #accessOf(call: Call): Promise<Access[] | 'expired' | 'invalid' | undefined> {
    const { authorization } = call.request.headers;
    if (authorization === undefined) return undefined;
    const [scheme = '', token = ''] = authorization.split(' ');
    if (scheme.toLowerCase() !== 'bearer') {
      call.token = 'other';
      return undefined;
    }
    const found = await this.#tokens.checkAccess(token);
    if (typeof found === 'string') {
      call.token = found;
      return found;
    }
    call.token = 'valid';
    call.subject = found.subject;
    return found.access;
  }

  #challenge(call: Call, needed: Access[], error?: string): Refusal {
    const parts = [`realm="${call.origin}/oauth2/token"`, `service="${this.#service}"`];
    if (needed.length > 0) parts.push(`scope="${needed.map(formatScope).join(' ')}"`);
    if (error !== undefined) parts.push(`error="${error}"`);
    return new Refusal(401, 'UNAUTHORIZED', 'authentication required', {
      headers: { 'www-authenticate': `Bearer ${parts.join(',')}` },
      detail: needed.flatMap(({ type, name, actions }) =>
        actions.map((action) => ({ Type: type, Name: name, Action: action })),
      ),
    });
  }
}
