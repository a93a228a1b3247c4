import { STATUS_CODES } from 'node:http';
import { isRecord } from '../descriptor.js';
import { bareMediaType } from '../manifest.js';
import { hideSecrets } from './error-from-answer.js';
import type { Transport, TransportRequest, TransportResponse } from './transport.js';

/** Maximum bytes of a response body that is printed. A longer body is not printed at all. */
const SHOWN_BODY_BYTES = 16 * 1024;

const HIDDEN = '*****';
const SECRET_HEADERS = ['authorization', 'cookie', 'proxy-authorization', 'set-cookie'];
/** Members of a JSON answer that are secret, because they give access. */
const SECRET_MEMBERS = new Set(['token', 'access_token', 'refresh_token', 'id_token', 'identity_token', 'password']);
/** Query parameters whose values are printed. Other values may be secrets: a signature, or the state of an upload. */
const OPEN_PARAMETERS = new Set([
  'n',
  'last',
  'digest',
  'mount',
  'from',
  'artifactType',
  'service',
  'scope',
  'orderby',
]);

let lastId = -1;

/** A URL with user, password and the values of other query parameters redacted. */
function openUrl(text: string, base?: string): string {
  if (!URL.canParse(text, base)) return 'REDACTED';
  const url = new URL(text, base);
  for (const part of ['username', 'password'] as const) if (url[part] !== '') url[part] = 'REDACTED';
  for (const name of new Set(url.searchParams.keys())) {
    if (!OPEN_PARAMETERS.has(name)) url.searchParams.set(name, 'REDACTED');
  }
  return url.href;
}

/** Writes a header name in its usual capitals: `Docker-Content-Digest`. */
function inCapitals(name: string): string {
  return name.replaceAll(/\b[a-z]/g, (letter) => letter.toUpperCase());
}

/** The secrets in a request, which are hidden wherever the answer repeats them. */
function secretsOf({ headers = {} }: TransportRequest, secretNames: ReadonlySet<string>): string[] {
  return Object.entries(headers).flatMap(([name, value]) => {
    if (!secretNames.has(name)) return [];
    const [scheme = '', rest = ''] = value.split(' ', 2);
    if (name !== 'authorization' || rest === '') return [value];
    const decoded = scheme.toLowerCase() === 'basic' ? Buffer.from(rest, 'base64').toString() : '';
    return [rest, decoded, decoded.slice(decoded.indexOf(':') + 1)].filter((secret) => secret !== '');
  });
}

function hide(text: string, secrets: readonly string[]): string {
  return secrets.reduce((hidden, secret) => hidden.replaceAll(secret, HIDDEN), text);
}

function formatHeaders(headers: Readonly<Record<string, string>>, url: string, isSecret: (name: string) => boolean) {
  const lines = Object.entries(headers).map(([name, value]) => {
    let shown = isSecret(name) ? HIDDEN : value;
    if (name === 'location' || name === 'content-location') shown = openUrl(value, url);
    if (name === 'link') shown = value.replaceAll(/<([^>]*)>/g, (_, target: string) => `<${openUrl(target, url)}>`);
    return `   ${JSON.stringify(inCapitals(name))}: ${JSON.stringify(shown)}`;
  });
  return lines.length === 0 ? '   Empty header' : lines.join('\n');
}

function hasSecretMember(json: unknown): boolean {
  if (Array.isArray(json)) return json.some(hasSecretMember);
  if (!isRecord(json)) return false;
  return Object.entries(json).some(([name, value]) => SECRET_MEMBERS.has(name.toLowerCase()) || hasSecretMember(value));
}

/** Text that is almost JSON may contain a token, too. */
function holdsSecrets(text: string): boolean {
  try {
    return hasSecretMember(JSON.parse(text));
  } catch {
    return [...SECRET_MEMBERS].some((name) => text.toLowerCase().includes(`"${name}"`));
  }
}

function isReadable(contentType: string): boolean {
  const type = bareMediaType(contentType);
  return ['application/json', 'text/plain', 'text/html'].includes(type) || type.endsWith('+json');
}

interface Peeked {
  /** The whole text. Undefined if it is longer or incomplete. */
  text?: string;
  isBroken: boolean;
  /** The complete body, including what has been read. */
  body: AsyncIterable<Uint8Array>;
}

/**
 * Reads at most `mostBytes` and one chunk from the start of a body. An error is thrown to the reader of the returned
 * body.
 */
async function peek(body: AsyncIterable<Uint8Array>, mostBytes: number): Promise<Peeked> {
  const rest = body[Symbol.asyncIterator]();
  const start: Uint8Array[] = [];
  let length = 0;
  let ended = false;
  let failure: { error: unknown } | undefined;
  while (length <= mostBytes && !ended && failure === undefined) {
    try {
      const { value, done } = await rest.next();
      if (done === true) ended = true;
      else {
        start.push(value);
        length += value.length;
      }
    } catch (error) {
      failure = { error };
    }
  }
  const text = ended ? Buffer.concat(start).toString('utf8') : undefined;
  const again: AsyncIterableIterator<Uint8Array> = {
    next: async () => {
      const value = start.shift();
      if (value !== undefined) return { value, done: false };
      if (failure !== undefined) throw failure.error;
      return ended ? { value: undefined, done: true } : rest.next();
    },
    return: async () => {
      start.length = 0;
      ended = true;
      await rest.return?.();
      return { value: undefined, done: true };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
  return { ...(text !== undefined && { text }), isBroken: failure !== undefined, body: again };
}

function wordsFor({ text, isBroken }: Peeked, secrets: readonly string[]): string {
  if (isBroken) return '   Error reading response body';
  if (text === undefined) return '   Response body exceeding the trace size limit is not printed';
  if (text === '') return '   Response body is empty';
  if (holdsSecrets(text)) return '   Response body redacted due to potential credentials';
  // Control characters are replaced, because a terminal would act on them.
  return hide(hideSecrets(text), secrets).replaceAll(/[^\P{Cc}\n\t]/gu, '?');
}

/** Describes a body, and returns it. */
async function describeBody(
  response: TransportResponse,
  secrets: readonly string[],
): Promise<{ words: string; body: AsyncIterable<Uint8Array> }> {
  const { status, headers, body } = response;
  const contentType = headers['content-type'] ?? '';
  const unread = (why: string) => ({ words: `   ${why}`, body });
  if (headers['content-length'] === '0' || status === 204) return unread('No response body to print');
  if (status >= 300 && status < 400) return unread('Response body for redirect is not printed');
  if (contentType === '') return unread('Response body without a content type is not printed');
  if (!isReadable(contentType)) {
    return unread(`Response body of content type ${JSON.stringify(contentType)} is not printed`);
  }
  const peeked = await peek(body, SHOWN_BODY_BYTES);
  return { words: wordsFor(peeked, secrets), body: peeked.body };
}

/**
 * Reports each request and response in the format of `oras --debug`, without secrets.
 * @param tell receives one entry at a time, which ends with an empty line
 * @param secretHeaders further secret header names, in lower case
 */
export function traceRequests(
  inner: Transport,
  tell: (entry: string) => void,
  secretHeaders: readonly string[] = [],
): Transport {
  const secretNames = new Set([...SECRET_HEADERS, ...secretHeaders]);
  const isSecret = (name: string): boolean => secretNames.has(name);
  const write = (level: 'DEBUG' | 'ERROR', lines: string): void =>
    tell(`[${new Date().toISOString()}][${level}]: ${lines}\n\n\n`);
  return {
    send: async (request) => {
      lastId += 1;
      const id = lastId;
      const { method, url } = request;
      const secrets = secretsOf(request, secretNames);
      const sent = formatHeaders(request.headers ?? {}, url, isSecret);
      write(
        'DEBUG',
        `--> Request #${id}\n> Request URL: "${openUrl(url)}"\n> Request method: "${method}"\n> Request headers:\n${sent}`,
      );
      let response: TransportResponse;
      try {
        response = await inner.send(request);
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        write('ERROR', `<-- Response #${id}\nError in getting response: ${hide(why, secrets)}`);
        throw error;
      }
      const status = `${response.status} ${STATUS_CODES[response.status] ?? ''}`.trim();
      const { words, body } =
        method === 'HEAD'
          ? { words: '   No response body to print', body: response.body }
          : await describeBody(response, secrets);
      const came = hide(formatHeaders(response.headers, url, isSecret), secrets);
      write(
        'DEBUG',
        `<-- Response #${id}\n< Response Status: "${status}"\n< Response headers:\n${came}\n< Response body:\n${words}`,
      );
      return { ...response, body };
    },
  };
}
