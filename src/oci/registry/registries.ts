import type { BlobRepository, CallOptions, Registries } from '../repository.js';
import { quoted } from '../credentials-in-text.js';
import { InputError, PolicyError, PromoterError } from '../errors.js';
import type { Lease } from '../lease.js';
import { parseManifest, type Manifest } from '../manifest.js';
import { isRegistryHost, isRepository } from '../reference.js';
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
import { pushPart } from './resumable-upload.js';
import { isLoopback, registryOrigin } from './urls.js';
import { RETRY_BASE_MS } from './retry.js';

/** Maximum bytes of a blob that is uploaded in one PUT. Option `uploads.monolithicBytes` */
const MONOLITHIC_BYTES = 1024 * 1024 * 1024;
/** Bytes of each chunk of a larger blob. Option `uploads.chunkBytes` */
const CHUNK_BYTES = 16 * 1024 * 1024;

/** Options of {@link createRegistries}. */
export interface RegistriesOptions extends Omit<TransportOptions, 'mayAsk' | 'mayFollow' | 'isRegistry'> {
  /** The only registries that may be used, written as in references. Undefined allows all. */
  allowedRegistries?: readonly string[];
  /** Hosts that use plain HTTP. Default: localhost and loopback addresses. */
  plainHttp?: (host: string) => boolean;
  /**
   * Held while an index of the referrers tag schema is written. Without a lease, only writers in this process are
   * coordinated.
   */
  lease?: Lease;
  /** Default: `auto`, detected for each registry. */
  referrers?: ReferrersMode;
  /** Sizes of uploads, in bytes. */
  uploads?: { monolithicBytes?: number; chunkBytes?: number };
}

/** A repository in a registry, with the operations that only registries have. */
export interface RegistryRepository extends BlobRepository {
  /**
   * Lists tags with their digests, and with times if the registry reports them. ACR needs one request for a hundred
   * tags.
   */
  listTagDetails(options?: TagDetailsOptions): AsyncIterable<TagDetails>;
  /**
   * Lists tags by the time of their last change, newest first, with one page for each request (ACR).
   * @throws PromoterError `NO_ACR_LISTS`
   */
  listNewestTags(options?: CallOptions): AsyncIterable<ChangedTag[]>;
  /**
   * Like {@link listNewestTags} for manifests, including untagged ones.
   * @throws PromoterError `NO_ACR_LISTS`
   */
  listNewestManifests(options?: CallOptions): AsyncIterable<ChangedManifest[]>;
  /**
   * Whether a tag may be written: false if the tag or its repository is locked (ACR). Undefined if the registry does
   * not say.
   */
  isWritable(tag: string, options?: CallOptions): Promise<boolean | undefined>;
}

/** A registry and its repositories. */
export interface Registry {
  /**
   * Checks that the registry exists and accepts the credential.
   * @throws TransportError if it does not respond
   * @throws RegistryError `UNAUTHORIZED`
   */
  checkAccess(options?: CallOptions): Promise<void>;
  listRepositories(options?: ListOptions): AsyncIterable<string>;
}

/** Opens repositories and registries. */
export interface OpenRegistries extends Registries {
  /** @throws PolicyError `REGISTRY_NOT_ALLOWED`; InputError `REFERENCE_INVALID` */
  repository(registry: string, repository: string): RegistryRepository;
  /** @throws PolicyError `REGISTRY_NOT_ALLOWED`; InputError `REFERENCE_INVALID` */
  registry(registry: string): Registry;
}

/** A client for registries, which must be closed. */
export interface RegistryClient extends OpenRegistries {
  /**
   * The same client, but `onRequest` is called before each request. Each page and each try counts; redirects and token
   * requests do not. An error of `onRequest` replaces the request.
   */
  counted(onRequest: (registry: string) => void): OpenRegistries;
  /** Aborts all requests and closes all connections. */
  close(): Promise<void>;
}

/** Parses a manifest. Undefined if its kind is not known: it is then stored unchanged. */
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
    pushPart: (descriptor, openAt, options) => pushPart(context, descriptor, openAt, options),
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

/** Creates a client for registries. One client for each process is enough: it shares connections, tokens and limits. */
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
    // Registries keep blobs on other hosts, so only a request for a blob may be redirected beyond the list. The request
    // decides and not the URL: a registry may give the next page of a listing an URL that looks like a blob's.
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
      throw new PolicyError('REGISTRY_NOT_ALLOWED', `${registry} is not an allowed registry`, {
        details: { registry },
        remedy: 'To use it, add it to ALLOWED_REGISTRIES.',
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
