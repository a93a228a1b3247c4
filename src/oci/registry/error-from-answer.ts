import { isRecord, parseObject } from '../descriptor.js';
import { isDigest, type Digest } from '../digest.js';
import { PromoterError, RegistryError } from '../errors.js';
import { readStart } from './body.js';
import type { TransportRequest, TransportResponse } from './transport.js';
import { redactUrl } from './urls.js';

/** Maximum bytes of an error answer that are read. */
const ERROR_BYTES = 64 * 1024;
/** Maximum characters of a registry's message that are shown. */
const MESSAGE_CHARACTERS = 300;

/** Codes for an answer without an error body, for example to HEAD. */
const CODES: ReadonlyMap<number, string> = new Map([
  [401, 'UNAUTHORIZED'],
  [403, 'DENIED'],
  [429, 'TOOMANYREQUESTS'],
]);

const REMEDIES: ReadonlyMap<string, string> = new Map([
  ['UNAUTHORIZED', 'Log in to the registry, or use a credential that has this permission.'],
  ['DENIED', 'The registry knows the identity but does not allow this: give it the missing role or scope.'],
  [
    'REGISTRY_FIREWALL',
    'The registry accepts no requests from this network, whatever the role. Allow the app, through a virtual network and private ' +
      'endpoints for the registry and its data, or by its IP address; docs/how-to/deploy.md, "Registries that restrict networks".',
  ],
  ['TOOMANYREQUESTS', 'The registry limits requests; try again later.'],
  ['MANIFEST_UNKNOWN', 'Check that the tag or digest exists in this repository.'],
  ['NAME_UNKNOWN', 'Check that the repository exists in this registry.'],
  [
    'MANIFEST_BLOB_UNKNOWN',
    'Push the content of the manifest first (blob push, manifest push), or copy all of it from its source.',
  ],
  ['HTTP_507', 'The registry is full: delete content, or raise its quota.'],
]);

/** Remedy for a write to a repository that does not exist. Registries create it if the identity may do so. */
const NO_REPOSITORY = 'Create the repository, or allow the identity to create it: registries do so on the first push.';
const NO_ROOM = 'The registry, or its project, is full: delete content, or raise its quota.';

function remedyOf(code: string, words: string, method: string): string | undefined {
  if (/\bquota\b|storage limit/i.test(words)) return NO_ROOM;
  if (code === 'NAME_UNKNOWN' && method !== 'GET' && method !== 'HEAD') return NO_REPOSITORY;
  return REMEDIES.get(code);
}

/**
 * True for the answer of ACR's firewall. It refuses a client by its address before authentication: 403 `DENIED` with
 * `client with IP '192.0.2.1' is not allowed access. Refer https://aka.ms/acr/firewall to grant access.` (quoted in
 * docker/build-push-action#1214 and Azure/acr#633).
 */
function isFirewall(status: number, words: string): boolean {
  return status === 403 && /\bclient with IP\b.{1,100}\bis not allowed access\b|aka\.ms\/acr\/firewall/i.test(words);
}

/**
 * Matches a JWT and the characters directly before it. The lookbehind starts the search once per run of characters: a
 * search from each `eyJ` would take quadratic time. The same holds for {@link QUERY}.
 */
const TOKEN = /(?<![\w-])((?:(?!\beyJ)[\w-])*)\beyJ[\w-]*\.[\w-]*\.?[\w-]*/g;
const QUERY = /(?<![^\s?"'])((?:(?!https?:\/\/)[^\s?"'])*https?:\/\/[^\s?"']*)\?[^\s"']*/gi;

/** Removes tokens, queries (which may contain a signature) and users in URLs from a text. */
export function hideSecrets(text: string): string {
  return text
    .replace(/\b(bearer|basic)\s+[\w.~+/=-]+/gi, '$1 ***')
    .replace(TOKEN, '$1***')
    .replace(/(https?:\/\/)[^\s/@"']*@/gi, '$1')
    .replace(QUERY, '$1');
}

/** Maximum characters of a registry's message that are examined. */
const MOST_CHARS = 8 * 1024;

/** Cuts a text between two words, because a part of a secret would not be recognized. */
function cutBetweenWords(text: string): string {
  if (text.length <= MOST_CHARS) return text;
  return text.slice(0, Math.max(0, text.slice(0, MOST_CHARS + 1).search(/\s\S*$/)));
}

/**
 * A registry's message, safe to show: without control characters and secrets, and not longer than MESSAGE_CHARACTERS.
 */
export function redactText(text: string): string {
  return hideSecrets(cutBetweenWords(text).replace(/[\p{Cc}\s]+/gu, ' '))
    .trim()
    .slice(0, MESSAGE_CHARACTERS);
}

/** The message and the remedy for a repository that does not exist. @param what `registry/repository`, `…:tag` or `…@digest` */
function missingRepository(what: string): { message: string; remedy?: string } | undefined {
  const [, host, repository] = /^([^/]+)\/([^:@]+)(?:[:@].*)?$/.exec(what) ?? [];
  if (host === undefined || repository === undefined) return undefined;
  return {
    message: `repository ${repository} not found in ${host}`,
    remedy: `List repositories: acr-promoter repo ls ${host}`,
  };
}

/** The message and the remedy for a tag or digest that does not exist. @param what `registry/repository:tag` or `…@digest` */
function missingManifest(what: string): { message: string; remedy?: string } {
  const [digested = what, digest] = what.split('@');
  if (digest !== undefined) return { message: `manifest ${digest} not found in ${digested}` };
  const [, repository = what, tag = ''] = /^(.*):([^:/]*)$/.exec(what) ?? [];
  const [host] = repository.split('/', 1);
  return {
    message: `tag ${tag} not found in ${repository}`,
    // The answer to a HEAD does not show whether the repository exists.
    remedy: `List tags: acr-promoter repo tags ${repository} (repositories: acr-promoter repo ls ${host})`,
  };
}

function missingIn(code: string, what: string): { message: string; remedy?: string } | undefined {
  if (code === 'NAME_UNKNOWN') return missingRepository(what);
  return code === 'MANIFEST_UNKNOWN' ? missingManifest(what) : undefined;
}

interface RegistryAnswerError {
  code: string;
  message: string;
  /** The digest that the entry is about, if its detail names one. */
  digest?: Digest;
}

/** Finds a digest in an error's detail. Docker's registry writes `Digest` or only the digest. */
function digestIn(detail: unknown): { digest?: Digest } {
  const value = isRecord(detail) ? (detail.digest ?? detail.Digest) : detail;
  return isDigest(value) ? { digest: value } : {};
}

/** @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes */
function parseErrors(bytes: Uint8Array): RegistryAnswerError[] {
  const errors = parseObject(bytes)?.errors;
  if (!Array.isArray(errors)) return [];
  return errors.slice(0, 10).flatMap((entry: unknown) => {
    if (!isRecord(entry) || typeof entry.code !== 'string' || !/^[A-Za-z0-9_-]{1,64}$/.test(entry.code)) return [];
    const message = typeof entry.message === 'string' ? redactText(entry.message) : '';
    return [{ code: entry.code.toUpperCase(), message, ...digestIn(entry.detail) }];
  });
}

/**
 * Parses a Retry-After header (seconds or a date).
 * @returns milliseconds from now, at least 0
 */
export function parseRetryAfter(value: string | undefined, nowMs = Date.now()): number | undefined {
  if (value === undefined) return undefined;
  const text = value.trim();
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const dateMs = Date.parse(text);
  return Number.isNaN(dateMs) ? undefined : Math.max(0, dateMs - nowMs);
}

/**
 * Converts an unexpected answer to an error. Reads its body, up to a limit.
 * @param what the reference it is about, for the message
 * @param options.absent the code for a 404 whose body has none
 */
export async function registryErrorFrom(
  response: TransportResponse,
  request: Pick<TransportRequest, 'method'>,
  what: string,
  { absent }: { absent?: string | undefined } = {},
): Promise<RegistryError> {
  let errors: RegistryAnswerError[] = [];
  try {
    errors = parseErrors(await readStart(response, ERROR_BYTES));
  } catch (error) {
    // The status is known, only the message is lost. An abort is passed on.
    if (!(error instanceof PromoterError)) throw error;
  }
  const { status } = response;
  const { method } = request;
  const retryAfterMs = parseRetryAfter(response.headers['retry-after']);
  const fallback = CODES.get(status) ?? (status === 404 ? absent : undefined) ?? `HTTP_${status}`;
  const words = errors[0]?.message ?? '';
  const code = isFirewall(status, words) ? 'REGISTRY_FIREWALL' : (errors[0]?.code ?? fallback);
  const digests = [...new Set(errors.flatMap(({ code: each, digest }) => (each === code && digest ? [digest] : [])))];
  const about = code === 'MANIFEST_BLOB_UNKNOWN' && digests.length > 0 ? `: ${digests.join(', ')}` : '';
  const isRead = method === 'GET' || method === 'HEAD';
  const missing = isRead ? missingIn(code, what) : undefined;
  const answered = `${what}: the registry answers ${status} ${code} to ${method}`;
  const remedy = missing?.remedy ?? remedyOf(code, words, method);
  return new RegistryError(
    missing?.message ?? `${answered}${words === '' ? '' : `: ${words}`}${about}`,
    {
      method,
      url: redactUrl(response.url),
      status,
      registryCodes: errors.map((entry) => entry.code),
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    },
    { code, ...(remedy !== undefined && { remedy }) },
  );
}
