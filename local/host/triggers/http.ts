import type { AppFunction } from '../app.js';
import type { HttpData, HttpRequestData } from '../core.js';
import type { HostReply, HostRequest } from '../http/exchange.js';
import type { Keys } from '../http/keys.js';
import { findRoute, sortRoutes, toRoute } from '../http/routes.js';
import type { Invoker } from '../invoke.js';
import { unsupported } from '../unsupported.js';

/** The most bytes of a request to an HTTP function. The real host allows 210 MB. */
const HTTP_BODY_BYTES = 100 * 1024 * 1024;

const NOT_FOUND: HostReply = { status: 404 };

function wrap(entries: Iterable<[string, string]>): Record<string, { value: string }> {
  return Object.fromEntries([...entries].map(([name, value]) => [name, { value }]));
}

function toRequestData(request: HostRequest, params: Record<string, string>, body: Buffer): HttpRequestData {
  const headers: [string, string][] = [];
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined) {
      headers.push([name, Array.isArray(value) ? value.join(', ') : value]);
    }
  }
  const names = new Set(request.url.searchParams.keys());
  const query = [...names].map((name): [string, string] => [name, request.url.searchParams.getAll(name).join(',')]);
  return {
    method: request.method,
    url: request.url.href,
    nullableHeaders: wrap(headers),
    nullableParams: wrap(Object.entries(params)),
    nullableQuery: wrap(query),
    ...(body.length > 0 && { body: { bytes: body } }),
  };
}

function toReply(data: HttpData | undefined, fn: AppFunction): HostReply {
  if (data === undefined) {
    return { status: 204 };
  }
  if ((data.cookies ?? []).length > 0) {
    throw unsupported(`cookies in a response (function ${fn.name})`);
  }
  return {
    status: Number(data.statusCode ?? '200'),
    headers: data.headers ?? {},
    body: data.body?.bytes ?? data.body?.string ?? '',
  };
}

/** @returns a handler for everything under the route prefix. If a function throws, the answer is an empty 500 */
export function createHttpTrigger(
  functions: AppFunction[],
  routePrefix: string,
  invoker: Invoker,
  keys: Keys,
): (request: HostRequest) => Promise<HostReply> {
  const ofHttp = functions.filter((fn) => fn.trigger.type === 'httpTrigger');
  const routes = sortRoutes(ofHttp.map((fn) => toRoute(fn, routePrefix)));
  return async (request) => {
    const found = findRoute(routes, request.method, request.path);
    if (found === undefined) {
      return NOT_FOUND;
    }
    const { fn, params } = found;
    const level = fn.trigger['authLevel'];
    if (level !== 'anonymous' && !keys.allows(request, level === 'admin' ? 'master' : 'function')) {
      return { status: 401 };
    }
    const data = toRequestData(request, params, await request.body(HTTP_BODY_BYTES));
    const { returnValue } = await invoker.invoke(fn, { http: data });
    return toReply(returnValue?.http, fn);
  };
}
