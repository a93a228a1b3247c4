import type { Descriptor } from '../oci/index.js';
import { fetchBlob, type Moving } from '../oras/index.js';
import type { blobFetch } from './blob-fetch.schema.js';
import { described, tagOrDigestOf, type Operation } from './operation.js';

type OpenedBlob = Awaited<ReturnType<typeof fetchBlob>>;

/**
 * Stores a fetched blob.
 * @returns its fields in the output: its content, or where it is stored
 */
export type KeepBlob = (blob: OpenedBlob, output: string | undefined) => Promise<Record<string, unknown>>;

/** Fetches a blob and checks its digest. */
export const run: Operation<typeof blobFetch, KeepBlob, Moving> = async (
  opened,
  { output },
  keep,
  { signal, event },
) => {
  const { repository } = opened;
  const blob = await fetchBlob(repository, tagOrDigestOf(opened), { signal, onProgress: event });
  const descriptor: Descriptor = blob.descriptor;
  return {
    output: { ...described(repository.name, descriptor), ...(await keep(blob, output)) },
    digest: descriptor.digest,
  };
};
