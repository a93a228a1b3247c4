import { OCI_IMAGE_INDEX } from '../../../src/oci/index.js';
import type { Handler } from '../context.js';
import { refuse } from '../refusal.js';
import { readDigest } from './blobs.js';
import { nextLink, pageOf } from './paging.js';

/** Referrers per page. */
const MOST_REFERRERS_OF_A_PAGE = 100;

/** `GET /v2/<name>/tags/list?n=&last=` */
export const listTags: Handler = async (context, call, { repository }) => {
  if (!context.reads.store.hasRepository(repository)) throw refuse.nameUnknown(repository);
  const { count, last } = pageOf(context, call);
  const found = context.reads.store.tags(repository, { order: '', last, count: count + 1 }).map(({ tag }) => tag);
  const tags = found.slice(0, count);
  call.json(
    200,
    { name: repository, tags },
    nextLink(call, found.length > count, { last: tags.at(-1) ?? '', n: count }),
  );
};

/** `GET /v2/_catalog?n=&last=`, and `/acr/v1/_catalog`, which Microsoft's client uses. */
export const listCatalog: Handler = async (context, call) => {
  const { count, last } = pageOf(context, call);
  const found = context.reads.store.repositories(last, count + 1);
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
  const found = context.reads.store.referrers(repository, subject, {
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
