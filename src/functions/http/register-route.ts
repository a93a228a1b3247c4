import { app, type HttpFunctionOptions, type HttpHandler } from '@azure/functions';

// `status` must answer even if nothing else can be loaded, so this file imports nothing of ours.

/** Registers an HTTP function that needs a function key. */
export function registerRoute(
  name: string,
  method: 'GET' | 'POST',
  route: string,
  handler: HttpHandler,
  more: Pick<HttpFunctionOptions, 'extraInputs'> = {},
): void {
  app.http(name, { methods: [method], authLevel: 'function', route, handler, ...more });
}
