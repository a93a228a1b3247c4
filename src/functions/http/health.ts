import { app, type HttpResponseInit } from '@azure/functions';
import type { StatusProblem } from './status.js';

/**
 * `GET health`: whether the app has loaded. Shallow, and open to anyone: of what is wrong it says a code and the names of the settings.
 * @param problems what keeps the app from working; empty: nothing does
 */
export function registerHealth(problems: readonly StatusProblem[] = []): void {
  app.http('health', {
    methods: ['GET'],
    authLevel: 'anonymous',
    route: 'health',
    handler: async (): Promise<HttpResponseInit> => answerHealth(problems),
  });
}

function answerHealth(problems: readonly StatusProblem[]): HttpResponseInit {
  if (problems.length === 0) return { jsonBody: { status: 'ok' } };
  const codes = [...new Set(problems.map(({ code }) => code))];
  const settings = [...new Set(problems.flatMap(({ setting }) => setting ?? []))];
  const code = codes.length === 1 ? codes[0] : 'SETTINGS_INVALID';
  return { status: 503, jsonBody: { status: 'unavailable', code, settings } };
}
