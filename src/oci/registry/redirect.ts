import { TransportError } from '../errors.js';
import { drain } from './body.js';
import type { Transport, TransportRequest } from './transport.js';
import { redactUrl, resolveLocation } from './urls.js';

/** Maximum redirects of one request. `TOO_MANY_REDIRECTS` */
const MOST_REDIRECTS = 5;

/** Statuses that are followed. For methods other than GET and HEAD, only those that keep method and body. */
function isFollowed(status: number, method: TransportRequest['method']): boolean {
  if (status === 307 || status === 308) return true;
  return (method === 'GET' || method === 'HEAD') && (status === 301 || status === 302 || status === 303);
}

/** Whether the original request may be redirected to this URL. */
export type MayFollow = (url: URL, request: TransportRequest) => boolean;

const CREDENTIAL_HEADERS = new Set(['authorization', 'cookie', 'proxy-authorization']);

/**
 * Follows redirects. On another origin the request carries no credential (GHSA-vh4v-2xq2-g5cg). A redirect from TLS to
 * plain HTTP is refused.
 * @throws TransportError `TOO_MANY_REDIRECTS`, `REDIRECT_REFUSED`
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
        const refuse = (code: string, why: string): TransportError => {
          const details = { method: request.method, url: redactUrl(request.url) };
          return new TransportError(code, `${redactUrl(request.url)} redirects ${why}`, { details, transient: false });
        };
        if (hop >= MOST_REDIRECTS) throw refuse('TOO_MANY_REDIRECTS', `more than ${MOST_REDIRECTS} times`);
        if (!URL.canParse(location, current.url)) throw refuse('REDIRECT_REFUSED', 'to an invalid URL');
        const from = new URL(current.url);
        const named = new URL(location, current.url);
        // A redirect to TLS is intended. A redirect to plain HTTP may be the mistake of a registry behind a proxy.
        const to = named.protocol === 'https:' ? named : resolveLocation(location, current.url);
        if (to.protocol !== 'https:' && (to.protocol !== 'http:' || from.protocol === 'https:')) {
          throw refuse('REDIRECT_REFUSED', `from ${from.protocol.slice(0, -1)} to ${to.protocol.slice(0, -1)}`);
        }
        if (to.username !== '' || to.password !== '')
          throw refuse('REDIRECT_REFUSED', 'to a URL that contains a user name');
        if (options.mayFollow?.(to, request) === false)
          throw refuse('REDIRECT_REFUSED', `to ${to.host}, which is not allowed`);
        const headers = { ...current.headers };
        if (to.origin !== from.origin) for (const name of CREDENTIAL_HEADERS) delete headers[name];
        current = { ...current, url: to.href, headers };
      }
    },
  };
}
