import { mapConcurrently } from '../concurrency.js';
import { type Descriptor, isRecord, parseDescriptor, parseObject } from '../descriptor.js';
import type { Digest } from '../digest.js';
import { CopyError, PolicyError, PromoterError, RegistryError } from '../errors.js';
import { artifactTypeOf, isManifestMediaType, parseManifest } from '../manifest.js';
import { OCI_IMAGE_INDEX } from '../media-types.js';
import type { CallOptions, FetchedManifest } from '../repository.js';
import type { RepositoryContext } from './endpoint.js';
import { type FetchedWithETag, fetchManifest } from './manifests.js';
import { ENTRIES_AT_ONCE } from './pages.js';

/** Maximum referrers of one subject. `GRAPH_TOO_WIDE` */
export const MOST_REFERRERS = 10_000;

/**
 * The referrers tag of a subject.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema
 */
export function referrersTag(subject: Digest): string {
  const [algorithm = '', hex = ''] = subject.split(':');
  return `${algorithm.slice(0, 32)}-${hex.slice(0, 64)}`;
}

/**
 * Parses a list of referrers. Each digest is returned once.
 * @param byAnyone true for the index under a referrers tag: anybody who may push can write it, so malformed entries are
 *   skipped
 * @throws InputError `DESCRIPTOR_INVALID`
 * @throws CopyError `GRAPH_TOO_WIDE`
 */
export function parseReferrers(list: readonly unknown[], where: string, { byAnyone = false } = {}): Descriptor[] {
  const found = new Map<string, Descriptor>();
  for (const entry of list) {
    const descriptor = byAnyone ? descriptorIn(entry) : parseDescriptor(entry, where);
    if (descriptor && !found.has(descriptor.digest)) found.set(descriptor.digest, descriptor);
  }
  // Anybody who may push can write one entry ten thousand times.
  const count = byAnyone ? found.size : list.length;
  if (count > MOST_REFERRERS) {
    throw new CopyError('GRAPH_TOO_WIDE', `${where} has ${count} referrers; the maximum is ${MOST_REFERRERS}`);
  }
  return [...found.values()];
}

function descriptorIn(entry: unknown): Descriptor | undefined {
  try {
    return parseDescriptor(entry, 'entry');
  } catch {
    return undefined;
  }
}

/**
 * The index under a subject's referrers tag. Entries are kept as they were written, so that nothing in them is lost.
 */
export interface ReferrersIndex {
  /** All fields of the index except its list. */
  fields: Record<string, unknown>;
  entries: unknown[];
  digest?: Digest;
  etag?: string;
}

const NO_INDEX: ReferrersIndex = { fields: { schemaVersion: 2, mediaType: OCI_IMAGE_INDEX }, entries: [] };

function parseIndex(fetched: FetchedWithETag): ReferrersIndex | undefined {
  const json = parseObject(fetched.bytes);
  if (json === undefined) return undefined;
  const { manifests, ...fields } = json;
  return {
    fields,
    entries: Array.isArray(manifests) ? manifests : [],
    digest: fetched.descriptor.digest,
    ...(fetched.etag !== undefined && { etag: fetched.etag }),
  };
}

/**
 * Reads the index under the subject's referrers tag. Returns an empty one if there is none, or if the tag holds
 * something else than an OCI index. GitLab resolves the tag to the subject itself (oras-go#1396).
 * @param options.forWriting throws if other content is under the tag, because it would be overwritten
 * @throws PolicyError `REFERRERS_TAG_TAKEN`
 */
export async function readReferrersIndex(
  context: RepositoryContext,
  subject: Digest,
  options: CallOptions & { forWriting?: boolean } = {},
): Promise<ReferrersIndex> {
  const tag = referrersTag(subject);
  let fetched: FetchedWithETag;
  try {
    fetched = await fetchManifest(context, tag, options);
  } catch (error) {
    if (error instanceof RegistryError && error.notFound) return NO_INDEX;
    throw error;
  }
  if (fetched.descriptor.digest === subject) return NO_INDEX;
  const index = fetched.descriptor.mediaType === OCI_IMAGE_INDEX ? parseIndex(fetched) : undefined;
  if (index !== undefined) return index;
  if (options.forWriting !== true) return NO_INDEX;
  throw new PolicyError(
    'REFERRERS_TAG_TAKEN',
    `${context.name}:${tag} is not an index of referrers and would be overwritten`,
    {
      details: { digest: fetched.descriptor.digest, mediaType: fetched.descriptor.mediaType },
      remedy: 'Remove that tag: the specification reserves it for referrers.',
    },
  );
}

export function hasEntry(index: ReferrersIndex, digest: Digest): boolean {
  return index.entries.some((entry) => isRecord(entry) && entry.digest === digest);
}

export function formatIndex(index: ReferrersIndex): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ ...index.fields, manifests: index.entries }));
}

/** Adds missing artifact types to a list of referrers. ACR omits them in some entries; the manifest has them. */
export function withArtifactTypes(
  name: string,
  entries: readonly Descriptor[],
  fetch: (entry: Descriptor) => Promise<FetchedManifest>,
): Promise<Descriptor[]> {
  return mapConcurrently(entries, ENTRIES_AT_ONCE, async (entry) => {
    if (entry.artifactType !== undefined || !isManifestMediaType(entry.mediaType)) return entry;
    try {
      const { bytes } = await fetch(entry);
      const artifactType = artifactTypeOf(parseManifest(bytes, entry.mediaType, `${name}@${entry.digest}`));
      return artifactType === undefined ? entry : { ...entry, artifactType };
    } catch (error) {
      // An entry whose manifest is missing or malformed stays in the list. A client that fetches it gets the error.
      if (error instanceof PromoterError && !error.transient) return entry;
      throw error;
    }
  });
}
