import { PromoterError } from '../errors.js';
import { getOrMake } from '../memo.js';
import { abortable } from '../concurrency.js';
import { drain } from './body.js';
import { parseChallenges, type Challenge } from './challenge.js';
import type { Credentials } from './credentials.js';
import { challengedScopes, mergeScopes } from './scopes.js';
import { basicAuthorization, isAcrRealm, Tokens, type Realm } from './tokens.js';
import type { Transport, TransportRequest, TransportResponse } from './transport.js';
import { markUnsent } from './network-error.js';

export interface AuthOptions {
  credentials: Credentials;
  /** Hosts that may be asked for a token without a credential. Default: all. */
  mayAsk?: ((host: string) => boolean) | undefined;
  /** Transport for token endpoints. Default: the inner transport. */
  tokenTransport?: Transport;
}

/** What an origin is known to require. */
interface Origin {
  host: string;
  /** True once an answer has been seen. */
  known: boolean;
  /** Resolves when the first request has been answered. */
  first?: Promise<void> | undefined;
  challenge?: Challenge | undefined;
  basic?: string | undefined;
}

function realmOf(challenge: Challenge, origin: string): Realm | undefined {
  const text = challenge.parameters.get('realm') ?? '';
  if (!URL.canParse(text, origin)) return undefined;
  const url = new URL(text, origin);
  // A registry over TLS must not send token requests to plain HTTP.
  if (url.protocol !== 'https:' && (url.protocol !== 'http:' || origin.startsWith('https:'))) return undefined;
  if (url.username !== '' || url.password !== '') return undefined;
  return { url, service: challenge.parameters.get('service') };
}

/**
 * The registry's challenge; Bearer is preferred to Basic. Undefined if the request was redirected and another origin
 * sent the challenge: that origin gets no credential.
 */
function challengeOf(response: TransportResponse, origin: string): Challenge | undefined {
  if (new URL(response.url).origin !== origin) return undefined;
  const challenges = parseChallenges(response.headers['www-authenticate'] ?? '');
  return (
    challenges.find((challenge) => challenge.scheme === 'bearer' && challenge.parameters.has('realm')) ??
    challenges.find((challenge) => challenge.scheme === 'basic')
  );
}

/**
 * Answers authentication challenges. A request with `scopes` is sent with the registry's credential, as Basic or as a
 * token, and is repeated if it was refused. A request without `scopes` is sent without a credential. A challenge is
 * remembered for its origin, so that only the first request needs the extra round trip.
 */
export function authenticate(inner: Transport, options: AuthOptions): Transport {
  const tokens = new Tokens(options.tokenTransport ?? inner, {
    credentials: options.credentials,
    mayAsk: options.mayAsk ?? (() => true),
  });
  const origins = new Map<string, Origin>();

  async function authorize(
    origin: Origin,
    url: URL,
    scopes: readonly string[],
    signal: AbortSignal | undefined,
    refused?: string,
  ): Promise<string | undefined> {
    const { challenge } = origin;
    if (challenge === undefined) return undefined;
    if (challenge.scheme === 'basic') {
      if (origin.basic === undefined || origin.basic === refused) {
        const credential = await options.credentials.get(origin.host, signal);
        origin.basic =
          credential.kind === 'basic' ? basicAuthorization(credential.username, credential.password) : undefined;
      }
      return origin.basic;
    }
    const realm = realmOf(challenge, url.origin);
    if (realm === undefined) return undefined;
    try {
      return `Bearer ${await tokens.get(origin.host, realm, scopes, { refused: refused?.slice('Bearer '.length), signal })}`;
    } catch (error) {
      throw markUnsent(error);
    }
  }

  async function exchange(request: TransportRequest, origin: Origin, seen: () => void): Promise<TransportResponse> {
    const url = new URL(request.url);
    const { signal } = request;
    const sendWith = (authorization: string | undefined): Promise<TransportResponse> =>
      inner.send(
        authorization === undefined ? request : { ...request, headers: { ...request.headers, authorization } },
      );
    const scopes = mergeScopes(request.scopes ?? []);
    let sent = await authorize(origin, url, scopes, signal);
    let response = await sendWith(sent);
    if (response.status === 401) origin.challenge = challengeOf(response, url.origin) ?? origin.challenge;
    seen();
    for (let round = 0; round < 2 && response.status === 401; round += 1) {
      const challenge = challengeOf(response, url.origin);
      if (challenge === undefined) return response;
      origin.challenge = challenge;
      // The request's own scopes first. Scopes from the challenge are added only if those were not enough.
      const wider = mergeScopes([...scopes, ...challengedScopes(challenge.parameters.get('scope'))]);
      const isWider = wider.join(' ') !== scopes.join(' ');
      const lacking = sent !== undefined && challenge.parameters.get('error') === 'insufficient_scope';
      if (round > 0 && !isWider) return response;
      const authorization = await authorize(
        origin,
        url,
        isWider && (round > 0 || lacking) ? wider : scopes,
        signal,
        sent,
      );
      if (authorization === undefined || authorization === sent) return response;
      await drain(response);
      sent = authorization;
      response = await sendWith(sent);
    }
    return response.status === 403 && request.method === 'HEAD' ? withReason(request, response, origin) : response;
  }

  /**
   * An answer to HEAD has no body, so a 403 does not show whether a firewall or a missing role caused it. ACR's
   * firewall answers every request the same way, so a GET returns the reason.
   */
  async function withReason(
    request: TransportRequest,
    response: TransportResponse,
    { challenge }: Origin,
  ): Promise<TransportResponse> {
    const { origin } = new URL(request.url);
    const realm = challenge === undefined ? undefined : realmOf(challenge, origin);
    // A registry that uses another kind of token does not have ACR's firewall.
    if (challenge !== undefined && (realm === undefined || !isAcrRealm(realm))) return response;
    const { signal } = request;
    const asked = await inner
      .send({ method: 'GET', url: `${origin}/v2/`, kind: 'api', signal })
      .catch((error: unknown) => {
        signal?.throwIfAborted();
        if (error instanceof PromoterError) return undefined;
        throw error;
      });
    if (asked?.status !== 403) {
      if (asked !== undefined) await drain(asked);
      return response;
    }
    await drain(response);
    return { ...asked, url: response.url };
  }

  return {
    send: async (request) => {
      if (request.scopes === undefined) return inner.send(request);
      const { origin: key, host } = new URL(request.url);
      const origin = getOrMake(origins, key, (): Origin => ({ host, known: false }));
      // The first request learns the challenge. Requests in parallel would only be refused as well, so they wait for
      // it.
      while (!origin.known && origin.first !== undefined) await abortable(origin.first, request.signal);
      if (origin.known) return exchange(request, origin, () => {});
      const { promise, resolve } = Promise.withResolvers<void>();
      origin.first = promise;
      const settle = (known: boolean): void => {
        origin.known ||= known;
        origin.first = undefined;
        resolve();
      };
      try {
        return await exchange(request, origin, () => settle(true));
      } finally {
        settle(false);
      }
    },
  };
}
