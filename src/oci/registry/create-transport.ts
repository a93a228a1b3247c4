import { authenticate } from './auth.js';
import type { Credentials } from './credentials.js';
import { limitRate, type RateLimits } from './rate-limit.js';
import { followRedirects, type MayFollow } from './redirect.js';
import { retry, type RetryOptions } from './retry.js';
import { createSend, type SendOptions } from './send.js';
import type { Transport } from './transport.js';

export interface TransportOptions extends SendOptions {
  credentials: Credentials;
  /** Hosts, besides a registry's own, whose token endpoints may see its credential. */
  trustedRealms?: readonly string[];
  /** Hosts that a token may be asked of without a credential; as it comes all. */
  mayAsk?: (host: string) => boolean;
  /** Whether a redirect to this URL may be followed; as it comes yes. It never takes a credential to another origin. */
  mayFollow?: MayFollow;
  retry?: RetryOptions;
  /** Requests a minute for a host; as it comes ACR's for ACR, and none for others. */
  limitsFor?: (host: string) => RateLimits;
  /** Sent as `user-agent`. */
  userAgent?: string;
}

/** retry(rate limit(auth(redirect(send)))): everything that goes to a registry goes through this. */
export function createTransport(options: TransportOptions): Transport & { close(): Promise<void> } {
  const send = createSend(options);
  const userAgent = options.userAgent ?? 'acr-promoter';
  const named: Transport = {
    send: (request) => send.send({ ...request, headers: { 'user-agent': userAgent, ...request.headers } }),
  };
  const { maxRetryAfterMs } = options.retry ?? {};
  const rates = {
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
  return { send: (request) => outer.send(request), close: () => send.close() };
}
