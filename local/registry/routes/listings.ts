import { OCI_IMAGE_INDEX } from '../../../src/oci/index.js';
import type { Call } from '../call.js';
import type { Context, Handler } from '../context.js';
import { Refusal, refuse } from '../refusal.js';
import { attributesOf } from './attributes.js';
import { readDigest } from './blobs.js';

/** Entries of one page, whatever `n` says. */
const MOST_PAGE_ENTRIES = 1000;
/** Entries of a page of referrers. */
const MOST_REFERRERS_OF_A_PAGE = 100;

/** `GET /v2/<name>/tags/list?n=&last=` */
export const listTags: Handler = async (context, call, { repository }) => {
  if (!context.manifests.hasRepository(repository)) throw refuse.nameUnknown(repository);
  const { count, last } = pageOf(context, call);
  const found = context.manifests.tags(repository, last, count + 1).map(({ tag }) => tag);
  const tags = found.slice(0, count);
  call.json(
    200,
    { name: repository, tags },
    nextLink(call, found.length > count, { last: tags.at(-1) ?? '', n: count }),
  );
};

/** `GET /v2/_catalog?n=&last=` */
export const listCatalog: Handler = async (context, call) => {
  const { count, last } = pageOf(context, call);
  const found = context.manifests.repositories(last, count + 1);
  const repositories = found.slice(0, count);
  const next = { last: repositories.at(-1) ?? '', n: count, orderby: '' };
  call.json(200, { repositories }, nextLink(call, found.length > count, next));
};

/** `GET /v2/<name>/referrers/<digest>?artifactType=` */
export const listReferrers: Handler = async (context, call, { repository, reference }) => {
  if (context.quirks.noReferrersApi === true) throw refuse.notFound(call.url.pathname);
  const subject = readDigest(reference);
  const artifactType = call.url.searchParams.get('artifactType') ?? '';
  const count = Math.min(context.quirks.pageEntries ?? MOST_REFERRERS_OF_A_PAGE, MOST_REFERRERS_OF_A_PAGE);
  const found = context.manifests.referrers(repository, subject, {
    last: Number(call.url.searchParams.get('nextToken') ?? 0) || 0,
    count: count + 1,
    ...(artifactType !== '' && { artifactType }),
  });
  const page = found.slice(0, count);
  const manifests = page.map(({ descriptor: { artifactType, ...rest } }) =>
    context.quirks.referrersWithoutArtifactType === true || artifactType === undefined
      ? rest
      : { ...rest, artifactType },
  );
  const next = { nextToken: page.at(-1)?.id ?? 0, ...(artifactType !== '' && { artifactType }) };
  call.json(
    200,
    { schemaVersion: 2, mediaType: OCI_IMAGE_INDEX, manifests },
    {
      'content-type': OCI_IMAGE_INDEX,
      ...(artifactType !== '' && { 'oci-filters-applied': 'artifactType' }),
      ...nextLink(call, found.length > count, next),
    },
  );
};

/**
 * `GET /acr/v1/<name>/_tags?n=&last=&orderby=timedesc|timeasc`: tags with their digests and times, ACR's own.
 */
export const listAcrTags: Handler = async (context, call, { repository }) => {
  if (context.quirks.noTagDetails === true) {
    call.empty(404);
    return;
  }
  if (!context.manifests.hasRepository(repository)) throw refuse.nameUnknown(repository);
  const { count, last } = pageOf(context, call, MOST_REFERRERS_OF_A_PAGE);
  const orderby = call.url.searchParams.get('orderby') ?? '';
  const found =
    orderby === 'timedesc' || orderby === 'timeasc'
      ? context.manifests.tagsByTime(repository, last, count + 1, orderby === 'timedesc')
      : context.manifests.tags(repository, last, count + 1);
  const tags = found.slice(0, count).map(({ tag, digest, created, updated }) => ({
    name: tag,
    digest,
    createdTime: created,
    lastUpdateTime: updated,
    signed: false,
    changeableAttributes: attributesOf(context.locks.of(repository, tag)),
  }));
  const next = { last: tags.at(-1)?.name ?? '', n: count, orderby };
  call.json(200, { registry: context.name, imageName: repository, tags }, nextLink(call, found.length > count, next));
};

function pageOf(context: Context, call: Call, usual: number = MOST_PAGE_ENTRIES): { count: number; last: string } {
  const n = call.url.searchParams.get('n');
  const last = call.url.searchParams.get('last') ?? '';
  const most = Math.min(context.quirks.pageEntries ?? MOST_PAGE_ENTRIES, MOST_PAGE_ENTRIES);
  if (n === null) return { count: Math.min(usual, most), last };
  if (!/^\d{1,9}$/.test(n)) {
    throw new Refusal(400, 'PAGINATION_NUMBER_INVALID', 'invalid number of results requested', { detail: { n } });
  }
  return { count: Math.min(Number(n), most), last };
}

/** A relative `Link`, as ACR's are. Nothing follows a page of nothing. */
function nextLink(call: Call, more: boolean, query: Record<string, string | number>): Record<string, string> {
  if (!more || query.n === 0) return {};
  const parameters = new URLSearchParams(
    Object.entries(query).map(([key, value]): [string, string] => [key, String(value)]),
  );
  return { link: `<${call.url.pathname}?${parameters.toString()}>; rel="next"` };
}
