import { app, type HttpResponseInit } from '@azure/functions';

/** `GET health`: the app has loaded. Shallow, and open to anyone. */
export function registerHealth(): void {
  app.http('health', {
    methods: ['GET'],
    authLevel: 'anonymous',
    route: 'health',
    handler: async (): Promise<HttpResponseInit> => ({ jsonBody: { status: 'ok' } }),
  });
}
