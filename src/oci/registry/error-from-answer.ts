import { isRecord } from '../descriptor.js';
import { isDigest, type Digest } from '../digest.js';
import { PromoterError, RegistryError } from '../errors.js';
import { readStart } from './body.js';
import type { TransportRequest, TransportResponse } from './transport.js';
import { redactUrl } from './urls.js';

/** Bytes of an error answer that are read. The rest is left. */
const ERROR_BYTES = 64 * 1024;
/** Characters of a registry's own words that are passed on. */
const MESSAGE_CHARACTERS = 300;

/** What the status itself says where the answer has no body, as after HEAD. */
const CODES: ReadonlyMap<number, string> = new Map([
  [401, 'UNAUTHORIZED'],
  [403, 'DENIED'],
  [429, 'TOOMANYREQUESTS'],
]);

const REMEDIES: ReadonlyMap<string, string> = new Map([
  ['UNAUTHORIZED', 'Sign in to the registry, or give it a credential that may do this.'],
  ['DENIED', 'The identity is known but may not do this: give it the role or scope that it lacks.'],
  [
    'REGISTRY_FIREWALL',
    'The registry takes no requests from this network; a role changes nothing. Let the app in, over a virtual network and private ' +
      'endpoints for the registry and its data, or by its IP address; docs/deploy.md, "Registries that restrict networks".',
  ],
  ['TOOMANYREQUESTS', 'The registry limits requests; it can be tried again later.'],
  ['MANIFEST_UNKNOWN', 'See that the tag or digest exists in this repository.'],
  ['NAME_UNKNOWN', 'See that the repository exists in this registry.'],
  [
    'MANIFEST_BLOB_UNKNOWN',
    'Push what the manifest refers to first (blob push, manifest push), or copy it all from where it is.',
  ],
  ['HTTP_507', 'The registry has no room left: make some, or raise its quota.'],
]);

/** What a write to a repository that isn't there wants: registries make it where the identity may. */
const NO_REPOSITORY = 'Make the repository, or give the identity the right to: registries make it with the first push.';
const NO_ROOM = 'The registry, or this project of it, has no room left: make some, or raise its quota.';

function remedyOf(code: string, words: string, method: string): string | undefined {
  if (/\bquota\b|storage limit/i.test(words)) return NO_ROOM;
  if (code === 'NAME_UNKNOWN' && method !== 'GET' && method !== 'HEAD') return NO_REPOSITORY;
  return REMEDIES.get(code);
}

/**
 * ACR refuses a client by its address before it asks who that is: 403 `DENIED` with `client with IP '192.0.2.1' is not allowed access.
 * Refer https://aka.ms/acr/firewall to grant access.` (as quoted in docker/build-push-action#1214 and Azure/acr#633).
 */
function isFirewall(status: number, words: string): boolean {
  return status === 403 && /\bclient with IP\b.{1,100}\bis not allowed access\b|aka\.ms\/acr\/firewall/i.test(words);
}

/**
 * A token, and what stands before it without a gap. It is searched for once in each run of its letters: from each `eyJ` of a run
 * without a point, the time would be the square of the run's length. So it is with {@link QUERY}.
 */
const TOKEN = /(?<![\w-])((?:(?!\beyJ)[\w-])*)\beyJ[\w-]*\.[\w-]*\.?[\w-]*/g;
const QUERY = /(?<![^\s?"'])((?:(?!https?:\/\/)[^\s?"'])*https?:\/\/[^\s?"']*)\?[^\s"']*/gi;

/** Text without tokens, nor queries (which may hold a signature), nor users in URLs. */
export function hideSecrets(text: string): string {
  return text
    .replace(/\b(bearer|basic)\s+[\w.~+/=-]+/gi, '$1 ***')
    .replace(TOKEN, '$1***')
    .replace(/(https?:\/\/)[^\s/@"']*@/gi, '$1')
    .replace(QUERY, '$1');
}

/** Characters of a registry's words that are looked at. */
const MOST_CHARS = 8 * 1024;

/** Cut between two words: half a secret is told as none. */
function cutBetweenWords(text: string): string {
  if (text.length <= MOST_CHARS) return text;
  return text.slice(0, Math.max(0, text.slice(0, MOST_CHARS + 1).search(/\s\S*$/)));
}

/** A registry's words, fit to be shown: no control characters, no secret, not endless. */
export function redactText(text: string): string {
  return hideSecrets(cutBetweenWords(text).replace(/[\p{Cc}\s]+/gu, ' '))
    .trim()
    .slice(0, MESSAGE_CHARACTERS);
}

interface Told {
  code: string;
  message: string;
  /** What the entry is about, where its detail says so. */
  digest?: Digest;
}

/** `digest` and what stands for it: Docker's registry writes its Go field (`Digest`), or one digest alone. */
function digestIn(detail: unknown): { digest?: Digest } {
  const value = isRecord(detail) ? (detail.digest ?? detail.Digest) : detail;
  return typeof value === 'string' && isDigest(value) ? { digest: value } : {};
}

/** @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes */
function parseErrors(bytes: Uint8Array): Told[] {
  try {
    const json: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (!isRecord(json) || !Array.isArray(json.errors)) return [];
    return json.errors.slice(0, 10).flatMap((entry: unknown) => {
      if (!isRecord(entry) || typeof entry.code !== 'string' || !/^[A-Za-z0-9_-]{1,64}$/.test(entry.code)) return [];
      return [
        {
          code: entry.code.toUpperCase(),
          message: typeof entry.message === 'string' ? redactText(entry.message) : '',
          ...digestIn(entry.detail),
        },
      ];
    });
  } catch {
    return [];
  }
}

/** Milliseconds of a Retry-After header: seconds, or a date. */
export function parseRetryAfter(value: string | undefined, nowMs = Date.now()): number | undefined {
  if (value === undefined) return undefined;
  const text = value.trim();
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const dateMs = Date.parse(text);
  return Number.isNaN(dateMs) ? undefined : Math.max(0, dateMs - nowMs);
}

/**
 * An answer that is not the hoped-for one, as an error; reads its body, bounded. The only place where {@link RegistryError}s
 * are made.
 * @param what the reference it is about, for the message; @param options.absent the code for a 404 that names none.
 */
export async function registryErrorFrom(
  response: TransportResponse,
  request: Pick<TransportRequest, 'method'>,
  what: string,
  options: { absent?: string; remedy?: string } = {},
): Promise<RegistryError> {
  let told: Told[] = [];
  try {
    told = parseErrors(await readStart(response, ERROR_BYTES));
  } catch (error) {
    // The status is known; only the words are lost. An abort is the caller's own.
    if (!(error instanceof PromoterError)) throw error;
  }
  const { status } = response;
  const { method } = request;
  const retryAfterMs = parseRetryAfter(response.headers['retry-after']);
  const fallback = CODES.get(status) ?? (status === 404 ? options.absent : undefined) ?? `HTTP_${status}`;
  const words = told[0]?.message ?? '';
  const code = isFirewall(status, words) ? 'REGISTRY_FIREWALL' : (told[0]?.code ?? fallback);
  const digests = [...new Set(told.flatMap(({ code: each, digest }) => (each === code && digest ? [digest] : [])))];
  const about = code === 'MANIFEST_BLOB_UNKNOWN' && digests.length > 0 ? `: ${digests.join(', ')}` : '';
  const remedy = options.remedy ?? remedyOf(code, words, method);
  return new RegistryError(
    `${what}: the registry answers ${status} ${code} to ${method}${words === '' ? '' : `: ${words}`}${about}`,
    {
      method,
      url: redactUrl(response.url),
      status,
      registryCodes: told.map((entry) => entry.code),
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    },
    { code, ...(remedy !== undefined && { remedy }) },
  );
}
