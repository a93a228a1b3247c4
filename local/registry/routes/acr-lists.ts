import type { Call } from '../call.js';
import type { Context, Handler } from '../context.js';
import { Refusal, refuse } from '../refusal.js';
import type { Order } from '../storage/manifests.js';
import { manifestAttributes, tagAttributes } from './attributes.js';
import { nextLink, pageOf } from './paging.js';

/** Entries per page if the request does not say. */
const USUAL_PAGE_ENTRIES = 100;

/** `GET /acr/v1/<name>/_tags?n=&last=&orderby=timedesc|timeasc&digest=`: tags with their digests and times. */
export const listAcrTags: Handler = async (context, call, { repository }) => {
  const asked = askedOf(context, call, repository);
  if (asked === undefined) return;
  const { count, last, order } = asked;
  const digest = call.url.searchParams.get('digest') ?? '';
  const found = context.reads.store.tags(repository, {
    order,
    last,
    count: count + 1,
    ...(digest !== '' && { digest }),
  });
  const page = found.slice(0, count);
  const next = { last: page.at(-1)?.tag ?? '', n: count, orderby: order, ...(digest !== '' && { digest }) };
  call.json(
    200,
    { registry: context.name, imageName: repository, tags: page.map((tag) => tagAttributes(context, repository, tag)) },
    nextLink(call, found.length > count, next),
  );
};

/** `GET /acr/v1/<name>/_manifests?n=&last=&orderby=timedesc|timeasc`: manifests with their times, untagged ones included. */
export const listAcrManifests: Handler = async (context, call, { repository }) => {
  const asked = askedOf(context, call, repository);
  if (asked === undefined) return;
  const { count, last, order } = asked;
  const found = context.reads.store.manifests(repository, { order, last, count: count + 1 });
  const page = found.slice(0, count);
  call.json(
    200,
    {
      registry: context.name,
      imageName: repository,
      manifests: page.map((manifest) => manifestAttributes(context, repository, manifest)),
    },
    nextLink(call, found.length > count, { last: page.at(-1)?.digest ?? '', n: count, orderby: order }),
  );
};

/** The list that is asked for. Undefined: the registry has none and has already answered. */
function askedOf(
  context: Context,
  call: Call,
  repository: string,
): { count: number; last: string; order: Order } | undefined {
  if (context.quirks.noAcrLists === true) {
    call.empty(404);
    return undefined;
  }
  if (!context.reads.store.hasRepository(repository)) throw refuse.nameUnknown(repository);
  return { ...pageOf(context, call, USUAL_PAGE_ENTRIES), order: orderOf(call) };
}

function orderOf(call: Call): Order {
  const orderby = call.url.searchParams.get('orderby') ?? '';
  if (orderby === '' || orderby === 'timedesc' || orderby === 'timeasc') return orderby;
  throw new Refusal(400, 'UNSUPPORTED', 'orderby must be timedesc or timeasc, or left out', { detail: { orderby } });
}
