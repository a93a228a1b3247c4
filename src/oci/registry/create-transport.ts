import { authenticate } from './auth.js';
import type { Credentials } from './credentials.js';
import { limitRate, type RateLimits } from './rate-limit.js';
import { followRedirects, type MayFollow } from './redirect.js';
import type { RateSharing } from './rate-sharing.js';
import { retry, type RetryOptions } from './retry.js';
import type { DispatcherOptions } from './dispatchers.js';
import { createSend } from './send.js';
import { traceRequests } from './trace.js';
import type { Transport, TransportRequest } from './transport.js';

/** Options of {@link createTransport}. */
export interface TransportOptions extends DispatcherOptions {
  credentials: Credentials;
  /**
   * Headers for requests to registries (see `isRegistry`) and to no other host, with lower-case names. They do not
   * replace headers that the client needs.
   */
  headers?: Readonly<Record<string, string>>;
  /** Receives a text about each request and response, without secrets. */
  trace?: (text: string) => void;
  /** Hosts that may be asked for a token without a credential. Default: all. */
  mayAsk?: (host: string) => boolean;
  /**
   * Whether a redirect to this URL is followed. Default: yes. A redirect never takes a credential to another origin.
   */
  mayFollow?: MayFollow;
  retry?: RetryOptions;
  /** Maximum requests per minute for a host. Default: ACR's limits for ACR, none for other hosts. */
  limitsFor?: (host: string) => RateLimits;
  /** Other processes that use the same credentials. Default: none. */
  sharing?: RateSharing;
}

/** Adds headers to each request that is sent, because a redirect may lead to another host. */
function addHeaders(inner: Transport, { headers, isRegistry }: TransportOptions): Transport {
  const headersOf = ({ url, headers: needed = {} }: TransportRequest): Record<string, string> => {
    const extra = isRegistry?.(new URL(url).origin) === true ? { ...headers } : {};
    const accept = [needed.accept, extra.accept].filter((types) => types !== undefined).join(', ');
    return { 'user-agent': 'acr-promoter', ...extra, ...needed, ...(accept !== '' && { accept }) };
  };
  return { send: (request) => inner.send({ ...request, headers: headersOf(request) }) };
}

/** A transport that can be closed. */
export interface ClientTransport extends Transport {
  close(): Promise<void>;
}

/** The transport for all requests to registries: retry(rate limit(auth(redirect(send)))). */
export function createTransport(options: TransportOptions): ClientTransport {
  const send = createSend(options);
  const named = addHeaders(
    options.trace === undefined ? send : traceRequests(send, options.trace, Object.keys(options.headers ?? {})),
    options,
  );
  const rates = { ...options, maxRetryAfterMs: options.retry?.maxRetryAfterMs };
  // A token request follows no redirect, and has a rate limit of its own.
  const tokenTransport = limitRate(named, rates);
  const authenticating = authenticate(followRedirects(named, options), { ...options, tokenTransport });
  const outer = retry(limitRate(authenticating, rates), options.retry);
  return {
    send: (request) => outer.send(request),
    close: () => send.close(),
  };
}
