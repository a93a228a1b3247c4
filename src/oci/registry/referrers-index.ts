import { isRecord, parseDescriptor, type Descriptor } from '../descriptor.js';
import type { Digest } from '../digest.js';
import { CopyError, PolicyError, RegistryError } from '../errors.js';
import { OCI_IMAGE_INDEX } from '../media-types.js';
import type { CallOptions } from '../store.js';
import type { RepositoryContext } from './endpoint.js';
import { fetchManifest, type FetchedWithETag } from './manifests.js';

/** Referrers of one subject. `GRAPH_TOO_WIDE` */
export const MOST_REFERRERS = 10_000;

/**
 * The tag under which the tag schema keeps a subject's referrers.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema
 */
export function referrersTag(subject: Digest): string {
  const [algorithm = '', hex = ''] = subject.split(':');
  return `${algorithm.slice(0, 32)}-${hex.slice(0, 64)}`;
}

/**
 * Referrers as a registry lists them, each once.
 * @param byAnyone an index of the tag schema: whoever may push has written it, so an entry that is no descriptor is passed over
 * @throws InputError `DESCRIPTOR_INVALID`; CopyError `GRAPH_TOO_WIDE`
 */
export function parseReferrers(list: readonly unknown[], where: string, { byAnyone = false } = {}): Descriptor[] {
  const found = new Map<string, Descriptor>();
  for (const entry of list) {
    const descriptor = byAnyone ? descriptorIn(entry) : parseDescriptor(entry, where);
    if (descriptor && !found.has(descriptor.digest)) found.set(descriptor.digest, descriptor);
  }
  // Whoever may push can write one entry ten thousand times.
  const count = byAnyone ? found.size : list.length;
  if (count > MOST_REFERRERS) {
    throw new CopyError('GRAPH_TOO_WIDE', `${where} has ${count} referrers; the most is ${MOST_REFERRERS}`);
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

/** A subject's index as it stands under its tag. Entries stay as they were written, so that nothing of them is lost. */
export interface ReferrersIndex {
  /** The whole index, its list apart. */
  fields: Record<string, unknown>;
  entries: unknown[];
  digest?: Digest;
  etag?: string;
}

const NO_INDEX: ReferrersIndex = { fields: { schemaVersion: 2, mediaType: OCI_IMAGE_INDEX }, entries: [] };

function parseIndex(fetched: FetchedWithETag): ReferrersIndex | undefined {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(fetched.bytes));
  } catch {
    return undefined;
  }
  if (!isRecord(json)) return undefined;
  const { manifests, ...fields } = json;
  return {
    fields,
    entries: Array.isArray(manifests) ? manifests : [],
    digest: fetched.descriptor.digest,
    ...(fetched.etag !== undefined && { etag: fetched.etag }),
  };
}

/**
 * Reads the index under the subject's tag; an empty one where there is none. Only an OCI index whose digest isn't the
 * subject's is one: GitLab resolves the tag to the subject itself (oras-go#1396).
 * @param options.forWriting what else stands under the tag is then not to be overwritten
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
    `${context.name}:${tag} is no index of referrers, and would be overwritten`,
    {
      details: { digest: fetched.descriptor.digest, mediaType: fetched.descriptor.mediaType },
      remedy: 'Remove that tag, which the specification reserves for the referrers of its digest.',
    },
  );
}

export function hasEntry(index: ReferrersIndex, digest: Digest): boolean {
  return index.entries.some((entry) => isRecord(entry) && entry.digest === digest);
}

export function formatIndex(index: ReferrersIndex): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ ...index.fields, manifests: index.entries }));
}
