import type { HttpRequest } from '@azure/functions';
import { z } from 'zod';
import { InputError, isRegistryHost } from '../../oci/index.js';
import type { PromotionFilter, RunFilter } from '../../rows/filters.js';
import { OUTCOMES } from '../../rows/run-row.js';
import { PROMOTION_STATES } from '../../rows/promotion-row.js';

/** What a query may have beside its filters: the page, and the function key as Azure takes it. */
const BESIDE = new Set(['size', 'from', 'code', 'clientId']);

const text = z.string().min(1).max(500).exactOptional();
/** `samples/app`, or with its registry: `myregistry.azurecr.io/samples/app`. */
const repository = text;
const promotionQuery = z.object({
  rule: text,
  registry: text,
  repository,
  tag: text,
  state: z.enum(PROMOTION_STATES).exactOptional(),
  destination: text,
});
const runQuery = z.object({
  rule: text,
  registry: text,
  repository,
  tag: text,
  state: z.enum(['open', 'pending', 'running', 'ended', ...OUTCOMES]).exactOptional(),
  digest: text,
});

/** @throws InputError `FILTER_INVALID` */
export function promotionFilterOf(request: Pick<HttpRequest, 'query'>): PromotionFilter {
  return withRegistry(queryOf(promotionQuery, request));
}

/** @throws InputError `FILTER_INVALID` */
export function runFilterOf(request: Pick<HttpRequest, 'query'>): RunFilter {
  return withRegistry(queryOf(runQuery, request));
}

/** A filter that isn't known is refused: a list that is longer than somebody thinks would be taken for an answer. */
function queryOf<S extends z.ZodObject>(schema: S, { query }: Pick<HttpRequest, 'query'>): z.infer<S> {
  const asked = Object.fromEntries([...query].filter(([name, value]) => !BESIDE.has(name) && value !== ''));
  const parsed = schema.strict().safeParse(asked);
  if (parsed.success) return parsed.data as z.infer<S>;
  const [issue] = parsed.error.issues;
  throw new InputError('FILTER_INVALID', `${issue?.path.join('.') ?? ''} ${issue?.message ?? 'not known'}`.trim(), {
    remedy: `There are these filters: ${Object.keys(schema.shape).join(', ')}.`,
  });
}

function withRegistry<F extends { registry?: string; repository?: string }>(filter: F): F {
  const [host = '', ...rest] = filter.repository?.split('/') ?? [];
  const isHost = rest.length > 0 && /[.:]|^localhost$/.test(host) && isRegistryHost(host);
  return isHost ? { ...filter, registry: host.toLowerCase(), repository: rest.join('/') } : filter;
}
