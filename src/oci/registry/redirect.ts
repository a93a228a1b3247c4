import { TransportError } from '../errors.js';
import { drain } from './body.js';
import type { Transport, TransportRequest } from './transport.js';
import { redactUrl, resolveLocation } from './urls.js';

/** Redirects of one request. `TOO_MANY_REDIRECTS` */
const MOST_REDIRECTS = 5;

/** Which statuses are followed: with a body or a changing method only those that keep both. */
function isFollowed(status: number, method: TransportRequest['method']): boolean {
  if (status === 307 || status === 308) return true;
  return (method === 'GET' || method === 'HEAD') && (status === 301 || status === 302 || status === 303);
}

/** Whether a request, as it was first sent, may be redirected to this URL. */
export type MayFollow = (url: URL, request: TransportRequest) => boolean;

const CREDENTIAL_HEADERS = new Set(['authorization', 'cookie', 'proxy-authorization']);

/**
 * Follows redirects. On another origin the request goes on without a credential (GHSA-vh4v-2xq2-g5cg), and never from TLS to
 * plain HTTP. @throws TransportError `TOO_MANY_REDIRECTS`, `REDIRECT_REFUSED`
 */
export function followRedirects(inner: Transport, options: { mayFollow?: MayFollow } = {}): Transport {
  return {
    send: async (request) => {
      let current = request;
      for (let hop = 0; ; hop += 1) {
        const response = await inner.send(current);
        const location = response.headers.location;
        if (location === undefined || !isFollowed(response.status, current.method)) return response;
        await drain(response);
        const details = { method: request.method, url: redactUrl(request.url) };
        if (hop >= MOST_REDIRECTS) {
          throw new TransportError('TOO_MANY_REDIRECTS', `${redactUrl(request.url)} redirects in a circle`, {
            details,
            transient: false,
          });
        }
        const refused = (why: string): TransportError =>
          new TransportError('REDIRECT_REFUSED', `${redactUrl(request.url)} redirects ${why}`, {
            details,
            transient: false,
          });
        if (!URL.canParse(location, current.url)) throw refused('to what is no URL');
        const from = new URL(current.url);
        const named = new URL(location, current.url);
        // To TLS it is meant; to plain HTTP may be a slip of a registry behind a proxy.
        const to = named.protocol === 'https:' ? named : resolveLocation(location, current.url);
        if (to.protocol !== 'https:' && (to.protocol !== 'http:' || from.protocol === 'https:')) {
          throw refused(`from ${from.protocol.slice(0, -1)} to ${to.protocol.slice(0, -1)}`);
        }
        if (to.username !== '' || to.password !== '') throw refused('to a URL with a user name in it');
        if (options.mayFollow?.(to, request) === false) throw refused(`to ${to.host}, where it may not lead`);
        const headers = { ...current.headers };
        if (to.origin !== from.origin) for (const name of CREDENTIAL_HEADERS) delete headers[name];
        current = { ...current, url: to.href, headers };
      }
    },
  };
}
