import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  RegistryError,
  TransportError,
  type TransportRequest,
  type TransportResponse,
} from '../../../../src/oci/index.js';
import { limitRate, defaultRateLimits } from '../../../../src/oci/registry/rate-limit.js';
import { followRedirects } from '../../../../src/oci/registry/redirect.js';
import {
  hideSecrets,
  parseRetryAfter,
  redactText,
  registryErrorFrom,
} from '../../../../src/oci/registry/error-from-answer.js';
import { pauseMs, retry, type RetryOptions } from '../../../../src/oci/registry/retry.js';
import { isLoopback, redactUrl, registryOrigin, resolveLocation } from '../../../../src/oci/registry/urls.js';
import { markUnsent } from '../../../../src/oci/registry/network-error.js';
import { failureOf } from './clients.js';
import { cpuTimer } from '../../../support/cpu-timer.js';
import { shortPauses } from '../../../support/short-pauses.js';

type Step = number | { status: number; headers: Record<string, string> } | Error;

/** A transport that returns a list of answers and counts the requests. */
function answering(steps: Step[]): {
  send(request: TransportRequest): Promise<TransportResponse>;
  seen: TransportRequest[];
} {
  const seen: TransportRequest[] = [];
  return {
    seen,
    send: (request) => {
      seen.push(request);
      const step = steps.shift() ?? 599;
      if (step instanceof Error) return Promise.reject(step);
      const { status, headers } = typeof step === 'number' ? { status: step, headers: {} } : step;
      return Promise.resolve({ status, headers, url: request.url, body: (async function* () {})() });
    },
  };
}

const get: TransportRequest = { method: 'GET', url: 'https://r.example/v2/a/manifests/b', kind: 'api' };

describe('retry', () => {
  const pauses = shortPauses();
  const run = async (
    steps: Step[],
    request: Partial<TransportRequest> = {},
    options: RetryOptions = {},
  ): Promise<[unknown, number]> => {
    const inner = answering(steps);
    const sent = retry(inner, { baseMs: 0, ...options }).send({ ...get, ...request });
    const outcome = await sent.then(
      ({ status }) => status,
      (error: unknown) => (error instanceof RegistryError || error instanceof TransportError ? error.code : error),
    );
    expect(inner.seen.map(({ attempt }) => attempt)).toEqual(inner.seen.map((_, index) => index + 1));
    return [outcome, inner.seen.length];
  };
  const closed = new TransportError('CONNECTION_CLOSED', '');
  const unreachable = markUnsent(new TransportError('CONNECT_FAILED', ''));
  const untrusted = new TransportError('CONNECT_FAILED', '', { transient: false });
  const later = (seconds: number): Step => ({ status: 429, headers: { 'retry-after': String(seconds) } });

  test.each<[string, Step[], Partial<TransportRequest>, [unknown, number]]>([
    ['a success is not repeated', [200], {}, [200, 1]],
    ['a refusal is not repeated', [404], {}, [404, 1]],
    ['a server error is repeated', [500, 502, 503, 504, 200], {}, [200, 5]],
    ['the last error answer is returned after the last try', [503, 503, 503, 503, 502], {}, [502, 5]],
    ['a broken connection is repeated', [closed, closed, 200], {}, [200, 3]],
    [
      'the last error is thrown after the last try',
      [closed, closed, closed, closed, unreachable],
      {},
      ['CONNECT_FAILED', 5],
    ],
    ['a permanent error is not repeated', [untrusted], {}, ['CONNECT_FAILED', 1]],
    ['not 501', [501], {}, [501, 1]],
    ['a POST is not repeated', [503], { method: 'POST' }, [503, 1]],
    ['a PATCH with an unknown result is not repeated', [closed], { method: 'PATCH' }, ['CONNECTION_CLOSED', 1]],
    [
      'a PUT marked as not repeatable is not repeated',
      [closed],
      { method: 'PUT', repeatable: false },
      ['CONNECTION_CLOSED', 1],
    ],
    ['a POST marked as repeatable is repeated', [503, closed, 202], { method: 'POST', repeatable: true }, [202, 3]],
    ['any method that was never sent is repeated', [unreachable, 202], { method: 'PATCH' }, [202, 2]],
    ['any method refused with 429 is repeated', [429, later(0), 202], { method: 'PATCH' }, [202, 3]],
    [
      'any method whose token request failed is repeated',
      [markUnsent(new RegistryError('', { method: 'GET', url: '', status: 503, registryCodes: [] })), 202],
      { method: 'POST' },
      [202, 2],
    ],
    [
      'a PUT whose source fails is not repeated',
      [new RegistryError('', { method: 'GET', url: '', status: 503, registryCodes: [] })],
      { method: 'PUT', repeatable: false },
      ['HTTP_503', 1],
    ],
    ['a Retry-After above the limit is not waited for', [later(31), 200], {}, [429, 1]],
  ])('%s', async (_, steps, request, expected) => {
    expect(await run(steps, request)).toEqual(expected);
  });

  test('a Retry-After is waited for', async () => {
    pauses.length = 0;
    expect(await run([{ status: 503, headers: { 'retry-after': '2' } }, later(1), 200])).toEqual([200, 3]);
    expect(pauses).toHaveLength(2);
    expect(pauses[0]).toBeGreaterThanOrEqual(2000);
    expect(pauses[1]).toBeGreaterThanOrEqual(1000);
  });

  test('a Retry-After of 0 or in the past does not shorten the growing pauses', async () => {
    const passed: Step = { status: 503, headers: { 'retry-after': 'Wed, 21 Oct 2020 07:28:10 GMT' } };
    pauses.length = 0;
    expect(await run([later(0), passed, later(0), passed, 200], {}, { baseMs: 20 })).toEqual([200, 5]);
    expect(pauses).toHaveLength(4);
    for (const [index, whole] of [20, 40, 80, 160].entries()) expect(pauses[index]).toBeGreaterThanOrEqual(whole / 2);
  });

  test('an abort ends the pause', async () => {
    const reason = new Error('enough');
    const controller = new AbortController();
    const sent = failureOf(retry(answering([later(20)])).send({ ...get, signal: controller.signal }));
    controller.abort(reason);
    expect(await sent).toBe(reason);
  });

  test('pauses grow with jitter up to a maximum', () => {
    for (const [attempt, most] of [
      [1, 200],
      [3, 800],
      [20, 10_000],
    ] as const) {
      for (let count = 0; count < 50; count += 1) {
        const pause = pauseMs(attempt, 200);
        expect(pause).toBeGreaterThanOrEqual(most / 2);
        expect(pause).toBeLessThanOrEqual(most);
      }
    }
  });

  test('Retry-After is parsed as seconds or a date', () => {
    expect(parseRetryAfter('60')).toBe(60_000);
    expect(parseRetryAfter('Wed, 21 Oct 2026 07:28:10 GMT', Date.parse('2026-10-21T07:28:00Z'))).toBe(10_000);
    expect(parseRetryAfter('Wed, 21 Oct 2020 07:28:10 GMT', Date.parse('2026-10-21T07:28:00Z'))).toBe(0);
    expect(parseRetryAfter('soon')).toBeUndefined();
    expect(parseRetryAfter(undefined)).toBeUndefined();
  });
});

describe('rate limit', () => {
  test("only ACR's hosts have ACR's limits", () => {
    expect(defaultRateLimits('myregistry.azurecr.io')).toMatchObject({ referrers: 250, delete: 500 });
    expect(defaultRateLimits('myregistry.azurecr.io.example.org')).toEqual({});
    expect(defaultRateLimits('localhost:5000')).toEqual({});
  });

  test('a request beyond the limit waits, in its own category only', async () => {
    const inner = answering([200, 200, 200, 200, 200, 200]);
    const limited = limitRate(inner, { limitsFor: () => ({ referrers: 2 }) });
    const list = { ...get, url: 'https://r.example/v2/a/referrers/sha256:0' };
    await limited.send(list);
    await limited.send(list);
    const controller = new AbortController();
    const third = failureOf(limited.send({ ...list, signal: controller.signal }));
    await limited.send(get);
    await limited.send({ ...list, url: 'https://other.example/v2/a/referrers/sha256:0' });
    expect(inner.seen).toHaveLength(4);
    controller.abort(new Error('enough'));
    expect(await third).toMatchObject({ message: 'enough' });
  });

  test('a 429 delays its category for that host; a long pause is reported at once', async () => {
    const inner = answering([{ status: 429, headers: { 'retry-after': '50' } }, 200, 200, 202]);
    const limited = limitRate(inner, { maxRetryAfterMs: 30_000 });
    expect((await limited.send(get)).status).toBe(429);
    const error = await failureOf(limited.send(get));
    expect(error).toMatchObject({ code: 'TOOMANYREQUESTS', transient: true });
    expect((error as RegistryError).info.retryAfterMs).toBeGreaterThan(49_000);
    expect((await limited.send({ ...get, method: 'PUT' })).status).toBe(200);
    expect(inner.seen).toHaveLength(2);
  });
});

describe('redirects', () => {
  const to = (location: string, status = 307): Step => ({ status, headers: { location } });
  const follow = async (
    steps: Step[],
    request: Partial<TransportRequest> = {},
    mayFollow?: (url: URL) => boolean,
  ): Promise<[unknown, TransportRequest[]]> => {
    const inner = answering(steps);
    const layer = followRedirects(inner, mayFollow === undefined ? {} : { mayFollow });
    const headers = { authorization: 'Bearer secret', accept: 'a/b' };
    const outcome = await layer.send({ ...get, headers, ...request }).then(
      ({ status, url }) => `${status} ${url}`,
      (error: unknown) => (error as TransportError).code,
    );
    return [outcome, inner.seen];
  };

  test('another origin gets no credential, nor does the first one after a redirect back', async () => {
    const [outcome, seen] = await follow([to('https://blob.example/x?sig=1'), to('https://r.example/y'), 200]);
    expect(outcome).toBe('200 https://r.example/y');
    expect(seen.map(({ url, headers }) => [url, headers?.['authorization'], headers?.['accept']])).toEqual([
      [get.url, 'Bearer secret', 'a/b'],
      ['https://blob.example/x?sig=1', undefined, 'a/b'],
      ['https://r.example/y', undefined, 'a/b'],
    ]);
  });

  test.each<[string, string]>([
    ['another port', 'https://r.example:8443/x'],
    ['a subdomain', 'https://blob.r.example/x'],
    ['a scheme-relative URL', '//evil.example/x'],
  ])('another origin is also: %s', async (_, location) => {
    const [, seen] = await follow([to(location), 200]);
    expect(seen[1]?.headers?.['authorization']).toBeUndefined();
  });

  test.each<[string, string]>([
    ['relative', '../x'],
    ['its own address without TLS', 'http://r.example/v2/x'],
    ['with the standard port', 'https://r.example:443/v2/x'],
  ])('the same origin keeps it: %s', async (_, location) => {
    const [outcome, seen] = await follow([to(location), 200]);
    expect(outcome).toMatch(/^200 https:\/\/r\.example\/v2\//);
    expect(seen[1]?.headers?.['authorization']).toBe('Bearer secret');
  });

  test.each<[string, Step[], Partial<TransportRequest>, string, number]>([
    ['a circle', Array.from({ length: 9 }, () => to(get.url)), {}, 'TOO_MANY_REDIRECTS', 6],
    ['from TLS to none', [to('http://blob.example/x')], {}, 'REDIRECT_REFUSED', 1],
    ['to another scheme', [to('file:///etc/passwd')], {}, 'REDIRECT_REFUSED', 1],
    ['to a URL with a user in it', [to('https://user:pass@blob.example/')], {}, 'REDIRECT_REFUSED', 1],
    ['to no URL', [to('https://')], {}, 'REDIRECT_REFUSED', 1],
    ['303 after a GET', [to('/x', 303), 200], {}, '200 https://r.example/x', 2],
    ['302 after a PUT is an answer', [to('/x', 302)], { method: 'PUT' }, `302 ${get.url}`, 1],
    ['308 after a PUT', [to('/x', 308), 201], { method: 'PUT' }, '201 https://r.example/x', 2],
    ['307 without a Location is an answer', [307], {}, `307 ${get.url}`, 1],
  ])('%s', async (_, steps, request, expected, count) => {
    const [outcome, seen] = await follow(steps, request);
    expect([outcome, seen.length]).toEqual([expected, count]);
  });

  test('a redirect to a host that is not allowed is refused', async () => {
    expect((await follow([to('https://blob.example/x'), 200], {}, (url) => url.host !== 'blob.example'))[0]).toBe(
      'REDIRECT_REFUSED',
    );
  });
});

describe('URLs', () => {
  test('redactUrl removes user, query and fragment', () => {
    expect(redactUrl('https://user:pass@h:8/p?sig=1#f')).toBe('https://h:8/p');
    expect(redactUrl('nonsense')).toBe('(not a URL)');
  });

  test('isLoopback recognizes loopback hosts', () => {
    for (const host of ['localhost', 'LOCALHOST:5000', 'a.localhost', '127.0.0.1', '127.9.9.9:1', '[::1]:5000'])
      expect(isLoopback(host)).toBe(true);
    for (const host of ['localhost.example', '127.0.0.1.example', '128.0.0.1', 'mylocalhost', '[::2]', '10.0.0.1'])
      expect(isLoopback(host)).toBe(false);
  });

  test('registryOrigin returns the origin of the API', () => {
    expect(registryOrigin('docker.io', false)).toBe('https://registry-1.docker.io');
    expect(registryOrigin('LocalHost:5000', true)).toBe('http://localhost:5000');
  });

  test('resolveLocation keeps the protocol for the same host', () => {
    expect(resolveLocation('/v2/x?a=%2B+b', 'https://h/v2/').href).toBe('https://h/v2/x?a=%2B+b');
    expect(resolveLocation('http://h/x', 'https://h/v2/').href).toBe('https://h/x');
    expect(resolveLocation('http://other/x', 'https://h/v2/').href).toBe('http://other/x');
  });

  test.each<[string, unknown[]]>([
    ['as Docker’s registry says it', [`sha256:${'1'.repeat(64)}`, `sha256:${'2'.repeat(64)}`]],
    ['as Go writes a field', [{ Digest: `sha256:${'1'.repeat(64)}` }, { digest: `sha256:${'2'.repeat(64)}` }]],
  ])('what a manifest refers to that is not there is named, %s', async (_, details) => {
    const errors = details.map((detail) => ({ code: 'MANIFEST_BLOB_UNKNOWN', message: 'blob unknown', detail }));
    const body = (async function* () {
      yield Buffer.from(JSON.stringify({ errors: [...errors, { code: 'OTHER', detail: `sha256:${'3'.repeat(64)}` }] }));
    })();
    const error = await registryErrorFrom({ status: 404, headers: {}, url: get.url, body }, get, 'r.example/a:b');
    expect(error.message).toMatch(/: blob unknown: sha256:1{64}, sha256:2{64}$/);
    expect(error.remedy).toContain('Push');
  });

  test("a registry's message is redacted and shortened", () => {
    expect(redactText('no\u0000\n\u001b[31m entry')).toBe('no [31m entry');
    expect(redactText('Authorization: Bearer abc.def-g= and Basic dTpw end')).toBe(
      'Authorization: Bearer *** and Basic *** end',
    );
    expect(redactText('see https://u:p@h/x?sig=abc now')).toBe('see https://h/x now');
    expect(redactText('token eyJhbGciOiJ.eyJzdWIi.c2ln is bad')).toBe('token *** is bad');
    expect(redactText('x'.repeat(1000))).toHaveLength(300);
  });

  test('redaction takes time proportional to the message and cuts between words', () => {
    for (const piece of ['http://', 'https://a', 'eyJ-', 'bearer ', '@']) {
      const cpuMs = cpuTimer();
      hideSecrets(piece.repeat(Math.ceil(65_536 / piece.length)));
      // An earlier version took one or two seconds for each.
      expect(cpuMs()).toBeLessThan(500);
    }
    for (const lead of ['Bearer ', 'https://u:', 'eyJhbGciOiJ', 'https://h/x?sig=']) {
      for (const before of [8180, 8190]) {
        const text = `${'Bearer abcdefgh '.repeat(600).slice(0, before)} ${lead}S3cretQ9S3cretQ9.S3cretQ9@h end`;
        expect(redactText(text)).not.toMatch(/S3c|abc/);
      }
    }
    expect(redactText('x'.repeat(9000))).toBe('');
  });

  test('redaction gives the same result as a regular expression that starts at each character', () => {
    const slow = (text: string): string =>
      text
        .replace(/\b(bearer|basic)\s+[\w.~+/=-]+/gi, '$1 ***')
        .replace(/\beyJ[\w-]*\.[\w-]*\.?[\w-]*/g, '***')
        .replace(/(https?:\/\/)[^\s/@"']*@/gi, '$1')
        .replace(/(https?:\/\/[^\s?"']*)\?[^\s"']*/gi, '$1');
    const pieces = ['eyJ', '.', '-', 'a', ' ', '?', 'http://', 'HTTPS://', '/', '@', '"', 'bearer ', '='];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces)), (some) => {
        expect(hideSecrets(some.join(''))).toBe(slow(some.join('')));
      }),
      { numRuns: 2000 },
    );
  });
});
