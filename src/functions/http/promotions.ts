import type { HttpRequest, HttpResponseInit } from '@azure/functions';
import { explainReference } from '../../promotions/explain-reference.js';
import type { StaticPorts } from '../activities.js';
import { answering, unknownPromotion } from './answers.js';
import { promotionFilterOf } from './filters.js';
import { pageOf } from './page.js';
import { refuseUnknownNames } from './unknown-names.js';
import { registerRoute } from './register-route.js';

type PromotionPorts = Pick<StaticPorts, 'store' | 'rules' | 'registries' | 'paused' | 'signing' | 'now'>;

/**
 * `GET promotions` lists promotions, newest run first, by rule, repository, tag, state, destination, since.
 * `GET promotions?reference=` explains whether that tag, repository or digest is promoted, and if not, why not.
 * `GET promotions/{id}` returns a row and the steps of its run.
 */
export function registerPromotions(ports: PromotionPorts): void {
  const list = answering((request) => listPromotions(ports, request));
  registerRoute('listPromotions', 'GET', 'promotions', list);
  registerRoute('getPromotion', 'GET', 'promotions/{id}', (request) => getPromotion(ports, request.params.id ?? ''));
}

async function listPromotions(ports: PromotionPorts, request: HttpRequest): Promise<HttpResponseInit> {
  const reference = request.query.get('reference');
  if (reference !== null) return { jsonBody: await explainReference(ports, reference) };
  const page = pageOf(request);
  const filter = promotionFilterOf(request);
  const found = await ports.store.listPromotions({ ...page, filter });
  await refuseUnknownNames(ports, filter, found, page.from);
  return { jsonBody: { promotions: found.items, next: found.next } };
}

async function getPromotion(ports: PromotionPorts, id: string): Promise<HttpResponseInit> {
  const row = await ports.store.getPromotion(id);
  if (row === undefined) return unknownPromotion(id);
  const steps = row.value.runId === undefined ? [] : await ports.store.listProgress(row.value.runId);
  return { jsonBody: { ...row.value, steps } };
}
