import { isIP } from 'node:net';
import type { IncomingHttpHeaders } from 'node:http';

const SAFE_METHODS = new Set(['GET', 'HEAD']);
/** Values of `Sec-Fetch-Site` for requests that no other site caused. */
const OWN_SITES = new Set(['same-origin', 'none']);

/** True for `localhost`, names under it, and this machine's loopback addresses, with or without a port. */
export function isLoopback(authority: string): boolean {
  if (/[/?#@\\]/.test(authority) || !URL.canParse(`http://${authority}`)) return false;
  const { hostname } = new URL(`http://${authority}`);
  if (hostname === '[::1]' || hostname === 'localhost' || hostname.endsWith('.localhost')) return true;
  return isIP(hostname) === 4 && hostname.startsWith('127.');
}

/**
 * Why a server on this machine refuses a request before it reads more of it; undefined if the request is accepted.
 *
 * A page of any site can make a browser send requests to this server. It can use a host name of its own that resolves
 * to 127.0.0.1 (DNS rebinding), and then also read the answers. So the host name must be this machine's. And a request
 * that changes something must not come from another site: browsers send `Sec-Fetch-Site` or `Origin`, while command
 * lines and clients send neither.
 * @param isHost names of this server besides the loopback ones
 * @see https://fetch.spec.whatwg.org/#origin-header
 */
export function refusedAsForeign(
  { method = 'GET', headers }: { method?: string | undefined; headers: IncomingHttpHeaders },
  isHost: (authority: string) => boolean = isLoopback,
): string | undefined {
  const { host, origin, 'sec-fetch-site': site } = headers;
  if (host !== undefined && !isHost(host)) return 'the Host header names another host than this machine';
  if (SAFE_METHODS.has(method.toUpperCase())) return undefined;
  if (site !== undefined && !OWN_SITES.has(site)) return 'the request comes from a page of another site';
  // `null` too: it comes from a page that hides its origin.
  if (origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`) {
    return 'the request comes from a page of another site';
  }
  return undefined;
}
