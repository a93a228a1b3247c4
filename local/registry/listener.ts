import type { IncomingMessage, ServerResponse } from 'node:http';
import { isLoopback, refusedAsForeign } from '../own-site.js';
import { Call, type RequestLogEntry } from './call.js';
import type { Context } from './context.js';
import { Refusal } from './refusal.js';
import { route } from './router.js';
import { createThrottle } from './throttle.js';

/** Answers all requests of one registry. @returns a function for each request, whose promise never rejects */
export function createListener(
  context: Context,
  origin: string,
  log: (entry: RequestLogEntry) => void,
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  const throttle = createThrottle(context.quirks);
  // The registry's own names are allowed too, because other machines may be allowed to use them.
  const own = new Set([context.name, context.options.host, new URL(origin).host]);
  const isOwnHost = (authority: string): boolean =>
    isLoopback(authority) || own.has(authority) || own.has(authority.replace(/:[0-9]+$/, ''));
  const { absoluteLocations = false } = context.quirks;
  return async (request, response) => {
    response.setHeader('docker-distribution-api-version', 'registry/2.0');
    const call = new Call(request, response, { origin, absoluteLocations, log });
    try {
      const refused = refusedAsForeign(request, isOwnHost);
      if (refused !== undefined) throw new Refusal(403, 'DENIED', refused);
      throttle();
      const { endpoint, target } = route(call);
      if (endpoint.needs !== undefined) await context.guard.admit(call, endpoint.needs(target, call));
      await endpoint.handle(context, call, target);
    } catch (error) {
      answerError(call, error);
    }
  };
}

function answerError(call: Call, error: unknown): void {
  if (call.answered || call.abandoned) {
    call.abort();
    return;
  }
  if (error instanceof Refusal) {
    call.json(error.status, error.body(), error.headers);
    return;
  }
  process.stderr.write(`local/registry: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  call.json(500, new Refusal(500, 'UNKNOWN', 'unknown error').body());
}
