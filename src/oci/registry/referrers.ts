import { isRecord, type Descriptor } from '../descriptor.js';
import type { Digest } from '../digest.js';
import { ConfigurationError, CopyError, PromoterError, RegistryError } from '../errors.js';
import { asReferrer, parseManifest, type Manifest } from '../manifest.js';
import { remember } from '../memo.js';
import { OCI_IMAGE_INDEX } from '../media-types.js';
import type { CallOptions, ReferrersOptions } from '../repository.js';
import { abortable } from '../concurrency.js';
import { hasEntry, MOST_REFERRERS, parseReferrers, readReferrersIndex, withArtifactTypes } from './referrers-index.js';
import { apiUrl, scopesFor, type RepositoryContext, type WholeAnswer } from './endpoint.js';
import { fetchManifest, removeManifest, type PutResult } from './manifests.js';
import { readPages } from './pages.js';
import type { ReferrersTags } from './referrers-tags.js';

/**
 * Maximum bytes of one page: it contains the annotations of each referrer, and some registries have only one page.
 * `TOO_LARGE`
 */
const REFERRERS_PAGE_BYTES = 32 * 1024 * 1024;
/** Maximum bytes of all pages for one subject. `GRAPH_TOO_WIDE` */
const REFERRERS_LIST_BYTES = 64 * 1024 * 1024;
/** Maximum repositories whose support for the referrers API is remembered. */
const MOST_REPOSITORIES = 10_000;

/**
 * Where a registry keeps referrers. `auto` detects it; `api` and `tag` force the referrers API or the referrers tag.
 */
export type ReferrersMode = 'auto' | 'api' | 'tag';

type Support = 'api' | 'tag';

/** Lists referrers and maintains the referrers tags. There is one for each client. */
export class Referrers {
  readonly #mode: ReferrersMode;
  readonly #tags: ReferrersTags;
  readonly #support = new Map<string, Support>();
  /** Requests in progress that will show how a repository keeps referrers. */
  readonly #asking = new Map<string, Promise<unknown>>();

  constructor(mode: ReferrersMode, tags: ReferrersTags) {
    this.#mode = mode;
    this.#tags = tags;
  }

  /**
   * Lists the referrers of a subject.
   * @throws ConfigurationError `REFERRERS_API_UNSUPPORTED` if the API is forced and the registry does not have it
   * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
   */
  async list(context: RepositoryContext, subject: Digest, options: ReferrersOptions = {}): Promise<Descriptor[]> {
    const asksApi = this.#mode === 'api' || (this.#mode === 'auto' && this.#support.get(context.name) !== 'tag');
    const [listed, tagged] = await Promise.all([
      asksApi ? this.#fromApi(context, subject, options) : undefined,
      // Notation writes the referrers tag even if the API exists, so both are read.
      this.#mode === 'api' || (options.tagSchema ?? true) !== true
        ? undefined
        : this.#fromTag(context, subject, options),
    ]);
    if (this.#mode === 'api' && listed === undefined) throw unsupported(context, subject);
    // Without an index the repository may not exist either, so the API's 404 proves nothing.
    if (asksApi && listed === undefined && tagged !== undefined) this.#remember(context, 'tag');
    const found = new Map<string, Descriptor>();
    for (const entry of [...(listed ?? []), ...(tagged ?? [])])
      if (!found.has(entry.digest)) found.set(entry.digest, entry);
    const { artifactType } = options;
    const isWanted = (entry: Descriptor): boolean => artifactType === undefined || entry.artifactType === artifactType;
    const entries = [...found.values()];
    if (options.artifactTypes === false)
      return entries.filter((entry) => entry.artifactType === undefined || isWanted(entry));
    const typed = await withArtifactTypes(context.name, entries, (entry) => fetchManifest(context, entry, options));
    return typed.filter(isWanted);
  }

  /** Called after a manifest with a subject was put: updates the referrers tag if the registry needs it. */
  async note(context: RepositoryContext, manifest: Manifest, put: PutResult, options: CallOptions = {}): Promise<void> {
    const { subject } = manifest;
    if (subject === undefined || this.#mode === 'api') return;
    if (this.#mode === 'auto' && (await this.#isListed(context, subject.digest, put, options))) return;
    const add = asReferrer(put.descriptor, manifest);
    await this.#tags.change(context, subject.digest, { add }, options);
  }

  /** Deletes a manifest. Its entry in the referrers tag is removed first and is restored if the deletion fails. */
  async delete(context: RepositoryContext, digest: Digest, options: CallOptions = {}): Promise<void> {
    const entry = this.#mode === 'api' ? undefined : await this.#entryOf(context, digest, options);
    if (entry === undefined) return removeManifest(context, digest, options);
    await this.#tags.change(context, entry.subject, { remove: digest }, options);
    try {
      await removeManifest(context, digest, options);
    } catch (error) {
      if (!(error instanceof RegistryError && error.notFound))
        await this.#tags.change(context, entry.subject, { add: entry.descriptor });
      throw error;
    }
  }

  /**
   * True if the API lists this manifest. The `OCI-Subject` header alone is not enough: ECR sent it without having the
   * API.
   */
  async #isListed(context: RepositoryContext, subject: Digest, put: PutResult, options: CallOptions): Promise<boolean> {
    const support = this.#support.get(context.name);
    const noted = put.notedSubject === subject;
    if (support === 'tag' && !noted) return false;
    if (support === 'api' && noted) return true;
    const asking = support === undefined ? this.#asking.get(context.name) : undefined;
    if (asking !== undefined) {
      // A copy pushes many manifests at once. The first one asks, the others use its result.
      await abortable(
        asking.catch(() => undefined),
        options.signal,
      );
      return this.#isListed(context, subject, put, options);
    }
    const question = this.#askApi(context, subject, options);
    if (support === undefined) this.#asking.set(context.name, question);
    const listed = await question;
    return listed !== undefined && (noted || listed.some((entry) => entry.digest === put.descriptor.digest));
  }

  /** Lists with the API in a repository that exists, so that a 404 means that there is no API. */
  async #askApi(context: RepositoryContext, subject: Digest, options: CallOptions): Promise<Descriptor[] | undefined> {
    try {
      const listed = await this.#fromApi(context, subject, options);
      if (listed === undefined) this.#remember(context, 'tag');
      return listed;
    } finally {
      this.#asking.delete(context.name);
    }
  }

  async #entryOf(
    context: RepositoryContext,
    digest: Digest,
    options: CallOptions,
  ): Promise<{ subject: Digest; descriptor: Descriptor } | undefined> {
    try {
      const { bytes, descriptor } = await fetchManifest(context, digest, options);
      const manifest = parseManifest(bytes, descriptor.mediaType, `${context.name}@${digest}`);
      const { subject } = manifest;
      if (subject === undefined) return undefined;
      const index = await readReferrersIndex(context, subject.digest, options);
      return hasEntry(index, digest)
        ? { subject: subject.digest, descriptor: asReferrer(descriptor, manifest) }
        : undefined;
    } catch (error) {
      // The manifest cannot be read or does not exist. Deleting it reports that.
      if (error instanceof PromoterError && !error.transient) return undefined;
      throw error;
    }
  }

  /** Lists with the referrers API. Undefined if the registry does not have it. */
  async #fromApi(
    context: RepositoryContext,
    subject: Digest,
    options: CallOptions & { artifactType?: string },
  ): Promise<Descriptor[] | undefined> {
    const filter =
      options.artifactType === undefined ? '' : `?artifactType=${encodeURIComponent(options.artifactType)}`;
    const where = `referrers of ${context.name}@${subject}`;
    const pages = readPages(context.endpoint, {
      url: `${apiUrl(context, `referrers/${subject}`)}${filter}`,
      scopes: scopesFor(context, ['pull']),
      name: where,
      accept: OCI_IMAGE_INDEX,
      signal: options.signal,
      otherStatuses: [404],
      mostBytes: REFERRERS_PAGE_BYTES,
    });
    const entries: unknown[] = [];
    let size = 0;
    for await (const { status, headers, json, bytes } of pages) {
      // A repository that does not exist yet, such as the destination of a copy, has no referrers.
      if (status === 404 && this.#mode === 'api' && saysNoRepository(json)) return [];
      if (status === 404 || !isReferrersAnswer(headers, this.#mode)) return undefined;
      // Some registries write an empty list as null.
      const manifests = json.manifests === null ? [] : json.manifests;
      if (!Array.isArray(manifests)) return undefined;
      entries.push(...manifests);
      if (entries.length > MOST_REFERRERS) break;
      size += bytes.length;
      if (size <= REFERRERS_LIST_BYTES) continue;
      throw new CopyError('GRAPH_TOO_WIDE', `${where} take more than ${REFERRERS_LIST_BYTES} bytes`, {
        remedy: 'Delete referrers with long annotations.',
      });
    }
    this.#remember(context, 'api');
    return parseReferrers(entries, where);
  }

  /** Lists from the referrers tag. Undefined if there is no index. */
  async #fromTag(context: RepositoryContext, subject: Digest, options: CallOptions): Promise<Descriptor[] | undefined> {
    const { entries, digest } = await readReferrersIndex(context, subject, options);
    if (digest === undefined) return undefined;
    return parseReferrers(entries, `index of the referrers of ${context.name}@${subject}`, { byAnyone: true });
  }

  #remember(context: RepositoryContext, support: Support): void {
    remember(this.#support, context.name, support, MOST_REPOSITORIES);
  }
}

/**
 * True for an answer of the referrers API. If the API is forced, the answer must have the right media type. Otherwise
 * the referrers tag is read as well, so a wrong media type does no harm.
 */
function isReferrersAnswer(headers: WholeAnswer['headers'], mode: ReferrersMode): boolean {
  if (mode !== 'api') return true;
  const [mediaType = ''] = (headers['content-type'] ?? '').split(';', 1);
  return mediaType.trim().toLowerCase() === OCI_IMAGE_INDEX;
}

function saysNoRepository({ errors }: Record<string, unknown>): boolean {
  return Array.isArray(errors) && errors.some((entry) => isRecord(entry) && entry.code === 'NAME_UNKNOWN');
}

/** An empty list would hide the referrers, and a copy would silently leave them behind. */
function unsupported(context: RepositoryContext, subject: Digest): ConfigurationError {
  return new ConfigurationError(
    'REFERRERS_API_UNSUPPORTED',
    `referrers of ${context.name}@${subject}: the registry has no referrers API`,
    {
      remedy:
        'Omit --distribution-spec, or use v1.1-referrers-tag, for example for a registry with customer-managed keys.',
    },
  );
}
