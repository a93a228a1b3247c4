import {
  resolveIfThere,
  type CallOptions,
  type Descriptor,
  type Digest,
  type Repository,
  mapConcurrently,
} from '../oci/index.js';
import type { Moving } from './moving.js';
import { TITLE, type PackedContent, type PackedManifest } from './pack-artifact.js';

export interface UploadProgress {
  state: 'uploading' | 'uploaded' | 'exists';
  descriptor: Descriptor;
}

export interface UploadOptions extends CallOptions {
  /** Blobs at once. */
  concurrency: number;
  onUpload?: (progress: UploadProgress | Moving) => void;
}

/** Pushes a blob that is missing. Each of its titles is reported. */
async function uploadBlob(repository: Repository, contents: PackedContent[], options: UploadOptions): Promise<void> {
  const [content, ...others] = contents;
  if (content === undefined) return;
  const { descriptor } = content;
  const call = { signal: options.signal };
  let isSent = false;
  // The body of an empty blob is not opened.
  if (descriptor.size === 0 && !(await repository.hasBlob(descriptor, call))) {
    options.onUpload?.({ state: 'uploading', descriptor });
    isSent = true;
  }
  await repository.pushBlob(
    descriptor,
    () => {
      // If the body is opened again, this is a retry.
      if (!isSent) options.onUpload?.({ state: 'uploading', descriptor });
      isSent = true;
      return content.open();
    },
    {
      ...call,
      onBytes: (moreBytes) => options.onUpload?.({ state: 'moving', descriptor, moreBytes }),
    },
  );
  options.onUpload?.({ state: isSent ? 'uploaded' : 'exists', descriptor });
  for (const other of others) options.onUpload?.({ state: 'exists', descriptor: other.descriptor });
}

function labelOf({ descriptor }: PackedContent): string {
  return descriptor.annotations?.[TITLE] ?? descriptor.mediaType;
}

/** Pushes config and layers. Blobs with one digest are sent once. */
async function uploadContents(
  repository: Repository,
  { contents }: PackedManifest,
  options: UploadOptions,
): Promise<void> {
  const byDigest = new Map<Digest, PackedContent[]>();
  for (const content of contents) {
    const { digest } = content.descriptor;
    const same = byDigest.get(digest) ?? [];
    // An artifact without files has the empty descriptor twice.
    if (same.some((other) => labelOf(other) === labelOf(content))) continue;
    byDigest.set(digest, [...same, content]);
  }
  await mapConcurrently([...byDigest.values()], options.concurrency, (same) => uploadBlob(repository, same, options));
}

/**
 * Pushes an artifact: blobs, then the manifest, under the tag if there is one. If the manifest exists, only missing blobs are pushed, and
 * not reported.
 * @returns whether the manifest existed
 */
export async function uploadArtifact(
  repository: Repository,
  packed: PackedManifest,
  options: UploadOptions & { tag?: string },
): Promise<boolean> {
  const { signal, tag, onUpload, concurrency } = options;
  const { descriptor, bytes } = packed;
  const call = { signal };
  if ((await resolveIfThere(repository, descriptor.digest, call)) !== undefined) {
    await uploadContents(repository, packed, { ...call, concurrency });
    onUpload?.({ state: 'exists', descriptor });
    return true;
  }
  await uploadContents(repository, packed, options);
  onUpload?.({ state: 'uploading', descriptor });
  await repository.pushManifest(bytes, descriptor.mediaType, {
    ...call,
    described: descriptor,
    ...(tag !== undefined && { tag }),
  });
  onUpload?.({ state: 'uploaded', descriptor });
  return false;
}
