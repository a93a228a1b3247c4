import { ConfigurationError, PromoterError, TransportError, isRecord, type ErrorOptions } from '../oci/index.js';
import { identityError, isIdentityFailure } from './identity-errors.js';
import { keyCannotSign, keyDisabled, keyExpired, keyNotYetValid, vaultFirewall } from './key-problems.js';

const NEW_ROLE = 'a new role takes effect within ten minutes';
/** Errors about a key or the network, by the inner code of Key Vault's answer. */
const INNER: ReadonlyMap<string, (id: string) => ConfigurationError> = new Map([
  ['KeyDisabled', keyDisabled],
  ['KeyExpired', keyExpired],
  ['KeyNotYetValid', keyNotYetValid],
  ['KeyOperationForbidden', keyCannotSign],
  ['ForbiddenByFirewall', vaultFirewall],
  ['ForbiddenByConnection', vaultFirewall],
]);

/** The parts of an SDK error that are used here. */
interface Answer {
  status?: number | undefined;
  code?: string | undefined;
  inner?: string | undefined;
  message?: string | undefined;
  retryAfterMs?: number | undefined;
}

/**
 * Converts a failed Key Vault call into one of our errors. Drops the SDK's error, because it holds the request with its
 * token.
 * Transient: `KEY_VAULT_UNAVAILABLE`, `KEY_VAULT_THROTTLED`, `KEY_VAULT_DENIED` (a role may be about to take effect),
 * `IDENTITY_UNAVAILABLE`. Permanent: `KEY_VAULT_UNAUTHORIZED`, `KEY_VAULT_CHALLENGE_REFUSED`, `KEY_VAULT_FIREWALL`,
 * `KEY_VAULT_FAILED`, `SIGNING_KEY_…`, `KEY_VAULT_ITEM_UNKNOWN`.
 * @param id the requested key or certificate
 * @see https://learn.microsoft.com/azure/key-vault/general/rest-error-codes
 */
export function vaultError(id: string, error: unknown): Error {
  if (error instanceof PromoterError) return error;
  if (isIdentityFailure(error)) return identityError('Key Vault', error);
  const answer = answerOf(error);
  const { status, code, inner, retryAfterMs } = answer;
  const known = INNER.get(inner ?? '');
  if (known !== undefined) return known(id);
  const options: ErrorOptions = { details: { id, status, code: inner }, retryAfterMs };
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
            'Use a vault in the identity’s tenant. If the answer names a wrong audience or issuer, check AZURE_CLIENT_ID and any proxy.',
        },
      );
    case 403:
      return new ConfigurationError(
        'KEY_VAULT_DENIED',
        `${id}: the identity is not allowed to do this (${said(answer)})`,
        {
          ...options,
          transient: true,
          remedy: `Give the identity Key Vault Crypto User on the key (for a certificate: Key Vault Certificate User on the vault); ${NEW_ROLE}. With access policies: get, list and sign for keys.`,
        },
      );
    case 404:
      return new ConfigurationError('KEY_VAULT_ITEM_UNKNOWN', `${id} does not exist in the vault (${said(answer)})`, {
        ...options,
        remedy: 'Correct the id in the setting. If the key was deleted, recover it with az keyvault key recover.',
      });
    case 429:
      return new TransportError('KEY_VAULT_THROTTLED', `${id}: Key Vault is throttling requests`, {
        ...options,
        remedy:
          'The app retries after the pause that the vault requests. If the error persists, use a separate vault for this key.',
      });
    default:
      return status === 408 || status >= 500
        ? unavailable(id, `answers ${said(answer)}`, { details: { id }, retryAfterMs })
        : new ConfigurationError('KEY_VAULT_FAILED', `${id}: Key Vault answers ${said(answer)}`, {
            ...options,
            remedy: `Key Vault does not accept this request${code === undefined ? '' : ` (${code})`}. Report the problem with this code.`,
          });
  }
}

/**
 * Converts errors without an answer. The SDK's own refusals can be recognized only by their text. An error without a
 * code is a bug and is returned unchanged.
 */
function withoutAnswer(id: string, error: unknown): Error {
  const message = error instanceof Error ? error.message : '';
  if (/challenge (?:resource|origin)|invalid scope/.test(message)) {
    return new ConfigurationError(
      'KEY_VAULT_CHALLENGE_REFUSED',
      `${id}: the server asks for a token of another service; it was not sent`,
      {
        details: { id },
        remedy: 'Check what the vault’s name resolves to: a proxy, a wrong DNS zone, or a vault of another cloud.',
      },
    );
  }
  const { code } = answerOf(error);
  const timedOut = error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError');
  if (code === undefined && !timedOut && error instanceof Error) return error;
  const text = `gives no answer${code === undefined ? '' : ` (${code})`}`;
  return unavailable(id, text, { details: { id, causes: [code] } });
}

function unavailable(id: string, what: string, options: ErrorOptions): TransportError {
  return new TransportError('KEY_VAULT_UNAVAILABLE', `${id}: Key Vault ${what}`, {
    ...options,
    remedy: 'The app retries. If the error persists, check the vault, its name and the network.',
  });
}

const MESSAGE_CHARACTERS = 200;

/** Status, code and the first line of the message. Further lines name resources and identities. */
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
  return {
    status: typeof statusCode === 'number' ? statusCode : undefined,
    code: textOf(code),
    inner: textOf(field(field(body, 'innerError'), 'code')),
    message: textOf(field(body, 'message')),
    retryAfterMs: retryAfterOf(response),
  };
}

/** Parses `Retry-After`, which is a number of seconds or a date. */
function retryAfterOf(response: unknown): number | undefined {
  const headers = field(response, 'headers') as { get?: (name: string) => string | undefined } | undefined;
  const text = headers?.get?.('retry-after');
  if (text === undefined) return undefined;
  const seconds = /^\d+$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, Math.ceil(seconds * 1000)) : undefined;
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function field(value: unknown, name: string): unknown {
  return isRecord(value) ? value[name] : undefined;
}
