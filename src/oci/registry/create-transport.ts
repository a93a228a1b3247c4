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

export interface TransportOptions extends DispatcherOptions {
  credentials: Credentials;
  /** Sent along to registries (see `isRegistry`) and to no other host; lower-case names. What the client needs itself stays. */
  headers?: Readonly<Record<string, string>>;
  /** Told of each request and answer, in words, without what is secret in them. */
  trace?: (text: string) => void;
  /** Hosts, besides a registry's own, whose token endpoints may see its credential. */
  trustedRealms?: readonly string[];
  /** Hosts that a token may be asked of without a credential; by default all. */
  mayAsk?: (host: string) => boolean;
  /** Whether a redirect to this URL may be followed; by default yes. It never takes a credential to another origin. */
  mayFollow?: MayFollow;
  retry?: RetryOptions;
  /** Requests a minute for a host; by default ACR's for ACR, and none for others. */
  limitsFor?: (host: string) => RateLimits;
  /** Other processes that ask with the same credentials; by default there are none. */
  sharing?: RateSharing;
  /** Sent as `user-agent`. */
  userAgent?: string;
}

/** What goes along with each request, as the URL it is sent to allows: a redirect may lead elsewhere. */
function addHeaders(inner: Transport, { headers, isRegistry, userAgent }: TransportOptions): Transport {
  const headersOf = ({ url, headers: needed = {} }: TransportRequest): Record<string, string> => {
    const extra = isRegistry?.(new URL(url).origin) === true ? { ...headers } : {};
    const accept = [needed.accept, extra.accept].filter((types) => types !== undefined).join(', ');
    return { 'user-agent': userAgent ?? 'acr-promoter', ...extra, ...needed, ...(accept !== '' && { accept }) };
  };
  return { send: (request) => inner.send({ ...request, headers: headersOf(request) }) };
}

/** A transport, and what it has learnt on the way. */
export interface ClientTransport extends Transport {
  close(): Promise<void>;
}

/** retry(rate limit(auth(redirect(send)))): everything that goes to a registry goes through this. */
export function createTransport(options: TransportOptions): ClientTransport {
  const send = createSend(options);
  const named = addHeaders(
    options.trace === undefined ? send : traceRequests(send, options.trace, Object.keys(options.headers ?? {})),
    options,
  );
  const { maxRetryAfterMs } = options.retry ?? {};
  const rates = {
    ...(options.sharing !== undefined && { sharing: options.sharing }),
    ...(options.limitsFor !== undefined && { limitsFor: options.limitsFor }),
    ...(maxRetryAfterMs !== undefined && { maxRetryAfterMs }),
  };
  const redirecting = followRedirects(named, {
    ...(options.mayFollow !== undefined && { mayFollow: options.mayFollow }),
  });
  const authenticating = authenticate(redirecting, {
    credentials: options.credentials,
    // A token's request names no credential by redirect, and has a limit of its own.
    tokenTransport: limitRate(named, rates),
    ...(options.trustedRealms !== undefined && { trustedRealms: options.trustedRealms }),
    ...(options.mayAsk !== undefined && { mayAsk: options.mayAsk }),
  });
  const outer = retry(limitRate(authenticating, rates), options.retry);
  return {
    send: (request) => outer.send(request),
    close: () => send.close(),
  };
}
