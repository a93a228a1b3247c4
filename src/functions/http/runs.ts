import { app, type HttpRequest, type HttpResponseInit } from '@azure/functions';
import type { RunStore } from '../../runs/ports.js';
import { errorAnswer } from './answers.js';
import { pageOf } from './page.js';

/** `GET runs`, newest first (`?state=ignored`: events that no rule wanted), and `GET runs/{id}` with its steps. */
export function registerRuns(ports: { store: RunStore }): void {
  app.http('listRuns', {
    methods: ['GET'],
    authLevel: 'function',
    route: 'runs',
    handler: async (request: HttpRequest): Promise<HttpResponseInit> => {
      if (request.query.get('state') === 'ignored') {
        const { items, next } = await ports.store.listIgnored(pageOf(request));
        return { jsonBody: { ignored: items, ...(next !== undefined && { next }) } };
      }
      const { items, next } = await ports.store.listRuns(pageOf(request));
      return { jsonBody: { runs: items, ...(next !== undefined && { next }) } };
    },
  });
  app.http('getRun', {
    methods: ['GET'],
    authLevel: 'function',
    route: 'runs/{id}',
    handler: async (request: HttpRequest): Promise<HttpResponseInit> => {
      const id = request.params.id ?? '';
      const row = await ports.store.getRun(id);
      if (row === undefined) return errorAnswer(404, 'RUN_UNKNOWN', `there is no run ${id}`);
      return { jsonBody: { ...row.value, steps: await ports.store.listProgress(id) } };
    },
  });
}
