import { isRepository } from '../../src/oci/index.js';
import { CATALOG, repositoryAccess, type Access } from './access/scope.js';
import type { Call } from './call.js';
import type { Handler, Target } from './context.js';
import { refuse } from './refusal.js';
import { listAcrManifests, listAcrTags } from './routes/acr-lists.js';
import { getAttributes, patchAttributes } from './routes/attributes.js';
import { deleteBlob, getBlob } from './routes/blobs.js';
import { listCatalog, listReferrers, listTags } from './routes/listings.js';
import { deleteManifest, deleteRepository, deleteTag } from './routes/deletions.js';
import { getManifest, putManifest } from './routes/manifests.js';
import { exchange, getToken, postToken } from './routes/oauth2.js';
import { deleteUpload, getUpload, patchUpload, postUpload, putUpload } from './routes/uploads.js';

interface Endpoint {
  handle: Handler;
  /** What a token must allow; undefined if no token is needed. */
  needs?: (target: Target, call: Call) => Access[];
}

interface Route {
  path: RegExp;
  methods: Record<string, Endpoint>;
}

const pull = ({ repository }: Target) => [repositoryAccess(repository, 'pull')];
const remove = ({ repository }: Target) => [repositoryAccess(repository, 'delete')];
const push = ({ repository }: Target) => [repositoryAccess(repository, 'pull', 'push')];
/** A mount reads another repository too. */
const mount = (target: Target, call: Call) => {
  const from = call.url.searchParams.get('from');
  const mounting = call.url.searchParams.has('mount') && from !== null && isRepository(from);
  return mounting ? [...push(target), repositoryAccess(from, 'pull')] : push(target);
};

const readMetadata = ({ repository }: Target) => [repositoryAccess(repository, 'metadata_read')];

const ping: Handler = async (_context, call) => call.json(200, {});

const ATTRIBUTES: Route['methods'] = {
  GET: { handle: getAttributes, needs: readMetadata },
  PATCH: { handle: patchAttributes, needs: ({ repository }) => [repositoryAccess(repository, 'metadata_write')] },
};

const ROUTES: Route[] = [
  { path: /^\/v2\/?$/, methods: { GET: { handle: ping, needs: () => [] }, HEAD: { handle: ping, needs: () => [] } } },
  { path: /^\/v2\/_catalog$/, methods: { GET: { handle: listCatalog, needs: () => [CATALOG] } } },
  { path: /^\/v2\/(.+)\/tags\/list$/, methods: { GET: { handle: listTags, needs: pull } } },
  {
    path: /^\/v2\/(.+)\/referrers\/([^/]+)$/,
    methods: { GET: { handle: listReferrers, needs: pull } },
  },
  {
    path: /^\/v2\/(.+)\/manifests\/([^/]+)$/,
    methods: {
      GET: { handle: getManifest, needs: pull },
      HEAD: { handle: getManifest, needs: pull },
      PUT: { handle: putManifest, needs: push },
      DELETE: { handle: deleteManifest, needs: remove },
    },
  },
  { path: /^\/v2\/(.+)\/blobs\/uploads\/?$/, methods: { POST: { handle: postUpload, needs: mount } } },
  {
    path: /^\/v2\/(.+)\/blobs\/uploads\/([^/]+)$/,
    methods: {
      GET: { handle: getUpload, needs: push },
      PATCH: { handle: patchUpload, needs: push },
      PUT: { handle: putUpload, needs: push },
      DELETE: { handle: deleteUpload, needs: push },
    },
  },
  {
    path: /^\/v2\/(.+)\/blobs\/([^/]+)$/,
    methods: {
      GET: { handle: getBlob, needs: pull },
      HEAD: { handle: getBlob, needs: pull },
      DELETE: { handle: deleteBlob, needs: remove },
    },
  },
  { path: /^\/acr\/v1\/(.+)\/_tags$/, methods: { GET: { handle: listAcrTags, needs: readMetadata } } },
  { path: /^\/acr\/v1\/(.+)\/_manifests$/, methods: { GET: { handle: listAcrManifests, needs: readMetadata } } },
  {
    path: /^\/acr\/v1\/(.+)\/_tags\/([^/]+)$/,
    methods: { ...ATTRIBUTES, DELETE: { handle: deleteTag, needs: remove } },
  },
  { path: /^\/acr\/v1\/(.+)\/_manifests\/([^/]+)$/, methods: ATTRIBUTES },
  { path: /^\/acr\/v1\/_catalog$/, methods: { GET: { handle: listCatalog, needs: () => [CATALOG] } } },
  {
    path: /^\/acr\/v1\/(.+)$/,
    methods: { ...ATTRIBUTES, DELETE: { handle: deleteRepository, needs: remove } },
  },
  { path: /^\/oauth2\/exchange$/, methods: { POST: { handle: exchange } } },
  { path: /^\/oauth2\/token$/, methods: { GET: { handle: getToken }, POST: { handle: postToken } } },
];

/** Finds the endpoint of a request. @throws Refusal 404 `NOT_FOUND`, 405 `UNSUPPORTED`, 400 `NAME_INVALID` */
export function route(call: Call): { endpoint: Endpoint; target: Target } {
  const path = decodePath(call.url.pathname);
  for (const { path: pattern, methods } of ROUTES) {
    const match = pattern.exec(path);
    if (match === null) continue;
    const [, repository = '', reference = ''] = match;
    if (match[1] !== undefined && !isRepository(repository)) throw refuse.nameInvalid(repository);
    const endpoint = Object.hasOwn(methods, call.method) ? methods[call.method] : undefined;
    if (endpoint === undefined) throw refuse.unsupported(`${call.method} is not supported here`);
    return { endpoint, target: { repository, reference } };
  }
  throw refuse.notFound(call.url.pathname);
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw refuse.notFound(path);
  }
}
