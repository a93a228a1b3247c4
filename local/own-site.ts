import { isIP } from 'node:net';
import type { IncomingHttpHeaders } from 'node:http';

const SAFE_METHODS = new Set(['GET', 'HEAD']);
/** What a browser says of a request that no other site has caused. */
const OWN_SITES = new Set(['same-origin', 'none']);

/** True for `localhost`, names below it, and the addresses of this machine, with or without a port. */
export function isLoopback(authority: string): boolean {
  if (/[/?#@\\]/.test(authority) || !URL.canParse(`http://${authority}`)) return false;
  const { hostname } = new URL(`http://${authority}`);
  if (hostname === '[::1]' || hostname === 'localhost' || hostname.endsWith('.localhost')) return true;
  return isIP(hostname) === 4 && hostname.startsWith('127.');
}

/**
 * Why a server of this machine refuses a request, before it reads anything else of it; undefined if it may go on.
 *
 * A page of any site can make the browser beside such a server send requests to it. It can call the server by a name of its own that
 * leads to 127.0.0.1 (DNS rebinding), and then also read the answers: so the name must be this machine's. And what changes anything
 * must not come from another site: browsers say where a request comes from, in `Sec-Fetch-Site` or `Origin`; command lines and
 * clients send neither.
 * @param isHost names besides the loopback ones that the server goes by
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
  // Also `null`, of a page that hides where it is from.
  if (origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`) {
    return 'the request comes from a page of another site';
  }
  return undefined;
}
