import type { BlobRepository } from '../blob-access.js';
import { quoted } from '../credentials-in-text.js';
import { InputError, PolicyError, PromoterError } from '../errors.js';
import type { Lease } from '../lease.js';
import { parseManifest, type Manifest } from '../manifest.js';
import { isRegistryHost, isRepository } from '../reference.js';
import type { CallOptions, Registries } from '../store.js';
import { isWritable } from './attributes.js';
import { deleteBlob, hasBlob, openBlob, resolveBlob } from './blobs.js';
import { checkAccess, listRepositories } from './catalog.js';
import { createTransport, type TransportOptions } from './create-transport.js';
import type { Endpoint, RepositoryContext } from './endpoint.js';
import { fetchManifest, putManifest, resolveManifest } from './manifests.js';
import { mountBlob } from './mount.js';
import { listNewestManifests, listNewestTags, type ChangedManifest, type ChangedTag } from './newest.js';
import { Referrers, type ReferrersMode } from './referrers.js';
import { ReferrersTags } from './referrers-tags.js';
import { listTagDetails, listTags, type ListOptions, type TagDetails, type TagDetailsOptions } from './tags.js';
import { pushBlob } from './upload.js';
import type { Transport } from './transport.js';
import { pushStretch } from './upload-stretch.js';
import { isLoopback, registryOrigin } from './urls.js';
import { RETRY_BASE_MS } from './retry.js';

/** Blobs up to this size go in one PUT. Option `uploads.monolithicBytes` */
const MONOLITHIC_BYTES = 1024 * 1024 * 1024;
/** Larger ones in pieces of this size. Option `uploads.chunkBytes` */
const CHUNK_BYTES = 16 * 1024 * 1024;

export interface RegistriesOptions extends Omit<TransportOptions, 'mayAsk' | 'mayFollow' | 'isRegistry'> {
  /** The only registries that may be asked, as they are written in references; undefined: any. */
  allowedRegistries?: readonly string[];
  /** Which hosts speak plain HTTP; by default localhost and loopback addresses. */
  plainHttp?: (host: string) => boolean;
  /** Held while an index of the referrers tag schema is written; without one, only this process's writers are kept apart. */
  lease?: Lease;
  /** By default `auto`: the registry is asked. */
  referrers?: ReferrersMode;
  /** How blobs are cut, in bytes. */
  uploads?: { monolithicBytes?: number; chunkBytes?: number };
}

/** A repository in a registry: a {@link BlobRepository}, and what only registries have. */
export interface RegistryRepository extends BlobRepository {
  /** Tags with their digests, and times where the registry tells: a page for a hundred of them in ACR. */
  listTagDetails(options?: TagDetailsOptions): AsyncIterable<TagDetails>;
  /**
   * ACR's list of tags by the time of their last change, newest first, a page for each request.
   * @throws PromoterError `NO_ACR_LISTS`
   */
  listNewestTags(options?: CallOptions): AsyncIterable<ChangedTag[]>;
  /** The same of manifests, untagged ones included. @throws PromoterError `NO_ACR_LISTS` */
  listNewestManifests(options?: CallOptions): AsyncIterable<ChangedManifest[]>;
  /** Whether a tag may be written: false where it or its repository is locked (ACR); undefined where the registry doesn't say. */
  isWritable(tag: string, options?: CallOptions): Promise<boolean | undefined>;
}

export interface Registry {
  /** Throws where the registry is not there (TransportError) or refuses the credential (RegistryError `UNAUTHORIZED`). */
  checkAccess(options?: CallOptions): Promise<void>;
  listRepositories(options?: ListOptions): AsyncIterable<string>;
}

/** Repositories and registries as a client gives them. */
export interface OpenRegistries extends Registries {
  /** @throws PolicyError `REGISTRY_NOT_ALLOWED`; InputError `REFERENCE_INVALID` */
  repository(registry: string, repository: string): RegistryRepository;
  /** @throws PolicyError `REGISTRY_NOT_ALLOWED`; InputError `REFERENCE_INVALID` */
  registry(registry: string): Registry;
}

export interface RegistryClient extends OpenRegistries {
  /**
   * The same client, which calls `onRequest` with the registry before each request: each page and each try counts, redirects and
   * tokens do not. What `onRequest` throws takes the request's place.
   */
  counted(onRequest: (registry: string) => void): OpenRegistries;
  /** Breaks off what is under way and closes all connections. */
  close(): Promise<void>;
}

/** What a manifest says, where it is one that is known here; anything else is put as it is. */
function tryParse(bytes: Uint8Array, mediaType: string, where: string): Manifest | undefined {
  try {
    return parseManifest(bytes, mediaType, where);
  } catch (error) {
    if (error instanceof PromoterError) return undefined;
    throw error;
  }
}

function createRepository(context: RepositoryContext, referrers: Referrers): RegistryRepository {
  return {
    name: context.name,
    resolve: (tagOrDigest, options) => resolveManifest(context, tagOrDigest, options),
    fetchManifest: async (target, options) => {
      const { descriptor, bytes } = await fetchManifest(context, target, options);
      return { descriptor, bytes };
    },
    openBlob: (descriptor, options) => openBlob(context, descriptor, options),
    resolveBlob: (digest, options) => resolveBlob(context, digest, options),
    hasBlob: (descriptor, options) => hasBlob(context, descriptor, options),
    listReferrers: (digest, options) => referrers.list(context, digest, options),
    listTags: (options) => listTags(context, options),
    listTagDetails: (options) => listTagDetails(context, options),
    listNewestTags: (options) => listNewestTags(context, options),
    listNewestManifests: (options) => listNewestManifests(context, options),
    isWritable: (tag, options) => isWritable(context, tag, options),
    pushBlob: (descriptor, open, options) => pushBlob(context, descriptor, open, options),
    pushStretch: (descriptor, openAt, options) => pushStretch(context, descriptor, openAt, options),
    mountBlob: (descriptor, fromRepository, options) => mountBlob(context, descriptor, fromRepository, options),
    deleteBlob: (descriptor, options) => deleteBlob(context, descriptor, options),
    pushManifest: async (bytes, mediaType, options = {}) => {
      const put = await putManifest(context, bytes, mediaType, options);
      options.onPut?.();
      const manifest = tryParse(bytes, mediaType, context.name);
      if (manifest?.subject !== undefined) await referrers.note(context, manifest, put, options);
      return put.descriptor;
    },
    deleteManifest: (digest, options) => referrers.delete(context, digest, options),
  };
}

/** A client for registries. One for a process is enough: connections, tokens and limits are shared. */
export function createRegistries(options: RegistriesOptions): RegistryClient {
  const plainHttp = options.plainHttp ?? isLoopback;
  const { allowedRegistries } = options;
  const allowed =
    allowedRegistries && new Set(allowedRegistries.map((registry) => new URL(registryOrigin(registry, false)).host));
  const mayAsk = (host: string): boolean => allowed?.has(host) ?? true;
  const transport = createTransport({
    ...options,
    mayAsk,
    isRegistry: (origin) => origins.has(origin),
    // Registries keep their blobs on hosts of their own; nothing else, and nothing that writes, is sent on past the list. What a
    // blob's address looks like says nothing: a registry may give such a one to the next page of a listing.
    mayFollow: (url, request) => mayAsk(url.host) || request.isBlob === true,
  });
  const referrers = new Referrers(options.referrers ?? 'auto', new ReferrersTags(options.lease));
  const endpoints = new Map<string, Endpoint>();
  const origins = new Set<string>();

  function endpointOf(registry: string): Endpoint {
    const known = endpoints.get(registry);
    if (known !== undefined) return known;
    if (!isRegistryHost(registry)) {
      throw new InputError('REFERENCE_INVALID', `${quoted(registry)} is not a registry host`);
    }
    const origin = registryOrigin(registry, plainHttp(registry));
    if (!mayAsk(new URL(origin.replace(/^http:/, 'https:')).host)) {
      throw new PolicyError('REGISTRY_NOT_ALLOWED', `${registry} is not among the registries that may be asked`, {
        details: { registry },
        remedy: 'Add it to ALLOWED_REGISTRIES if it is to be used.',
      });
    }
    const endpoint: Endpoint = {
      registry,
      origin,
      transport,
      retryBaseMs: options.retry?.baseMs ?? RETRY_BASE_MS,
      mayAsk,
      learnt: {},
      uploads: {
        monolithicBytes: options.uploads?.monolithicBytes ?? MONOLITHIC_BYTES,
        chunkBytes: options.uploads?.chunkBytes ?? CHUNK_BYTES,
      },
    };
    endpoints.set(registry, endpoint);
    origins.add(new URL(origin).origin);
    return endpoint;
  }

  const open = (endpointOf: (registry: string) => Endpoint): OpenRegistries => ({
    repository: (registry, repository) => {
      const endpoint = endpointOf(registry);
      if (!isRepository(repository)) {
        throw new InputError('REFERENCE_INVALID', `${quoted(repository)} is not a repository name`);
      }
      return createRepository({ endpoint, repository, name: `${registry}/${repository}` }, referrers);
    },
    registry: (registry) => {
      const endpoint = endpointOf(registry);
      return {
        checkAccess: (callOptions) => checkAccess(endpoint, callOptions),
        listRepositories: (listOptions) => listRepositories(endpoint, listOptions),
      };
    },
  });

  return {
    ...open(endpointOf),
    counted: (onRequest) =>
      open((registry) => {
        const endpoint = endpointOf(registry);
        const send: Transport['send'] = (request) =>
          endpoint.transport.send({ ...request, onTry: () => onRequest(registry) });
        return { ...endpoint, transport: { send } };
      }),
    close: () => transport.close(),
  };
}
