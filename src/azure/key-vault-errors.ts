import { ConfigurationError, PromoterError, TransportError, type ErrorOptions } from '../oci/index.js';
import { identityError, isIdentityFailure } from './identity-errors.js';
import { keyCannotSign, keyDisabled, keyExpired, keyNotYetValid, vaultFirewall } from './key-problems.js';

const NEW_ROLE = 'a new role takes up to ten minutes to count';
/** What Key Vault says of a key itself or of the way to it, by the inner code of its answer. */
const INNER: ReadonlyMap<string, (id: string) => ConfigurationError> = new Map([
  ['KeyDisabled', keyDisabled],
  ['KeyExpired', keyExpired],
  ['KeyNotYetValid', keyNotYetValid],
  ['KeyOperationForbidden', keyCannotSign],
  ['ForbiddenByFirewall', vaultFirewall],
  ['ForbiddenByConnection', vaultFirewall],
]);

/** What the SDK knows of an answer, as far as we look at it. */
interface Answer {
  status?: number;
  code?: string;
  inner?: string;
  message?: string;
  retryAfterMs?: number;
}

/**
 * A failed call of Key Vault as one of our errors, without the SDK's, which knows the request and its token.
 * Transient: `KEY_VAULT_UNAVAILABLE`, `KEY_VAULT_THROTTLED`, `KEY_VAULT_DENIED` (a role may be on its way), `IDENTITY_UNAVAILABLE`.
 * To be mended by somebody: `KEY_VAULT_UNAUTHORIZED`, `KEY_VAULT_CHALLENGE_REFUSED`, `KEY_VAULT_FIREWALL`, `KEY_VAULT_FAILED`,
 * `SIGNING_KEY_…`, `KEY_VAULT_ITEM_UNKNOWN`.
 * @param id the key or certificate that was asked for
 * @see https://learn.microsoft.com/azure/key-vault/general/rest-error-codes
 */
export function vaultError(id: string, error: unknown): Error {
  if (error instanceof PromoterError) return error;
  if (isIdentityFailure(error)) return identityError('Key Vault', error);
  const answer = answerOf(error);
  const { status, code, inner, retryAfterMs } = answer;
  const details = { id, ...(status !== undefined && { status }), ...(inner !== undefined && { code: inner }) };
  const known = INNER.get(inner ?? '');
  if (known !== undefined) return known(id);
  const options: ErrorOptions = { details, ...(retryAfterMs !== undefined && { retryAfterMs }) };
  switch (status) {
    case undefined:
      return withoutAnswer(id, error);
    case 401:
      return new ConfigurationError(
        'KEY_VAULT_UNAUTHORIZED',
        `${id}: Key Vault does not accept the token (${said(answer)})`,
        {
          ...options,
          remedy:
            'Name a vault of the tenant that the identity belongs to. With another audience or issuer: look at AZURE_CLIENT_ID, and at proxies between.',
        },
      );
    case 403:
      return new ConfigurationError('KEY_VAULT_DENIED', `${id}: the identity may not do this (${said(answer)})`, {
        ...options,
        transient: true,
        remedy: `Give the identity Key Vault Crypto User on the key (for a certificate: Key Vault Certificate User on the vault); ${NEW_ROLE}. With access policies: get, list and sign for keys.`,
      });
    case 404:
      return new ConfigurationError('KEY_VAULT_ITEM_UNKNOWN', `${id} is not in the vault (${said(answer)})`, {
        ...options,
        remedy: 'See that the setting names what is there; if it was deleted, recover it: az keyvault key recover.',
      });
    case 429:
      return new TransportError('KEY_VAULT_THROTTLED', `${id}: Key Vault has too many requests`, {
        ...options,
        remedy:
          'It is tried again after the pause that the vault asks for; if it stays, give this key a vault of its own.',
      });
    default:
      return status === 408 || status >= 500
        ? unavailable(id, `answers ${said(answer)}`, { retryAfterMs })
        : new ConfigurationError('KEY_VAULT_FAILED', `${id}: Key Vault answers ${said(answer)}`, {
            ...options,
            remedy: `Key Vault refuses this request${code === undefined ? '' : ` (${code})`}: report it with the code.`,
          });
  }
}

/** The SDK's own refusals have no code but their text; what has neither is nobody's trouble but a bug. */
function withoutAnswer(id: string, error: unknown): Error {
  const message = error instanceof Error ? error.message : '';
  if (/challenge (?:resource|origin)|invalid scope/.test(message)) {
    return new ConfigurationError(
      'KEY_VAULT_CHALLENGE_REFUSED',
      `${id}: what answers there asks for a token of another service, and gets none`,
      {
        details: { id },
        remedy: 'See what answers under the name of the vault: a proxy, a wrong DNS zone, or no vault of this cloud.',
      },
    );
  }
  const { code } = answerOf(error);
  const timedOut = error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError');
  if (code === undefined && !timedOut && error instanceof Error) return error;
  return unavailable(id, `gives no answer${code === undefined ? '' : ` (${code})`}`, { causes: [code] });
}

function unavailable(
  id: string,
  what: string,
  { causes, retryAfterMs }: { causes?: unknown[]; retryAfterMs?: number | undefined } = {},
): TransportError {
  return new TransportError('KEY_VAULT_UNAVAILABLE', `${id}: Key Vault ${what}`, {
    details: { id, ...(causes !== undefined && { causes }) },
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    remedy: 'It is tried again; if it stays, look at the vault, its name and the network between.',
  });
}

const MESSAGE_CHARACTERS = 200;

/** Status, code, and the first line of the message; later ones name resources and identities. */
function said({ status, code, inner, message }: Answer): string {
  const line = message?.split(/[\r\n]/, 1)[0]?.slice(0, MESSAGE_CHARACTERS);
  return [status, inner ?? code, line === undefined ? undefined : `"${line}"`]
    .filter((part) => part !== undefined)
    .join(' ');
}

function answerOf(error: unknown): Answer {
  if (typeof error !== 'object' || error === null) return {};
  const { statusCode, code, details, response } = error as Record<string, unknown>;
  const body = field(details, 'error');
  const inner = field(field(body, 'innerError'), 'code');
  const message = field(body, 'message');
  const retryAfterMs = retryAfterOf(response);
  return {
    ...(typeof statusCode === 'number' && { status: statusCode }),
    ...(typeof code === 'string' && { code }),
    ...(typeof inner === 'string' && { inner }),
    ...(typeof message === 'string' && { message }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  };
}

/** `Retry-After`: seconds, or a date. */
function retryAfterOf(response: unknown): number | undefined {
  const headers = field(response, 'headers') as { get?: (name: string) => string | undefined } | undefined;
  const text = headers?.get?.('retry-after');
  if (text === undefined) return undefined;
  const seconds = /^\d+$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, Math.ceil(seconds * 1000)) : undefined;
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}
