import { app, type HttpRequest, type HttpResponseInit } from '@azure/functions';
import type { RunStore } from '../../runs/ports.js';
import { errorAnswer } from './answers.js';
import { pageOf } from './page.js';

/** `GET promotions`, newest run first, and `GET promotions/{id}`: where each stands, and what its run is doing. */
export function registerPromotions(ports: { store: RunStore }): void {
  app.http('listPromotions', {
    methods: ['GET'],
    authLevel: 'function',
    route: 'promotions',
    handler: async (request: HttpRequest): Promise<HttpResponseInit> => {
      const { items, next } = await ports.store.listPromotions(pageOf(request));
      return { jsonBody: { promotions: items, ...(next !== undefined && { next }) } };
    },
  });
  app.http('getPromotion', {
    methods: ['GET'],
    authLevel: 'function',
    route: 'promotions/{id}',
    handler: async (request: HttpRequest): Promise<HttpResponseInit> => {
      const id = request.params.id ?? '';
      const row = await ports.store.getPromotion(id);
      if (row === undefined) return errorAnswer(404, 'PROMOTION_UNKNOWN', `there is no promotion ${id}`);
      const steps = row.value.runId === undefined ? [] : await ports.store.listProgress(row.value.runId);
      return { jsonBody: { ...row.value, steps } };
    },
  });
}
