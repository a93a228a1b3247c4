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
  onProgress?: (progress: UploadProgress | Moving) => void;
}

/** Pushes a blob that is missing. */
export async function uploadBlob(
  repository: Repository,
  { descriptor, open }: PackedContent,
  { signal, onProgress }: CallOptions & { onProgress?: ((progress: UploadProgress | Moving) => void) | undefined },
): Promise<void> {
  const call = { signal };
  let isSent = false;
  // The body of an empty blob is not opened.
  if (descriptor.size === 0 && !(await repository.hasBlob(descriptor, call))) {
    onProgress?.({ state: 'uploading', descriptor });
    isSent = true;
  }
  await repository.pushBlob(
    descriptor,
    () => {
      // If the body is opened again, this is a retry.
      if (!isSent) onProgress?.({ state: 'uploading', descriptor });
      isSent = true;
      return open();
    },
    { ...call, onBytes: (moreBytes) => onProgress?.({ state: 'moving', descriptor, moreBytes }) },
  );
  onProgress?.({ state: isSent ? 'uploaded' : 'exists', descriptor });
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
  const byDigest = new Map<Digest, [PackedContent, ...PackedContent[]]>();
  for (const content of contents) {
    const { digest } = content.descriptor;
    const same = byDigest.get(digest);
    if (same === undefined) byDigest.set(digest, [content]);
    // An artifact without files has the empty descriptor twice.
    else if (!same.some((other) => labelOf(other) === labelOf(content))) same.push(content);
  }
  await mapConcurrently([...byDigest.values()], options.concurrency, async ([content, ...others]) => {
    await uploadBlob(repository, content, options);
    // Each of its titles is reported.
    for (const { descriptor } of others) options.onProgress?.({ state: 'exists', descriptor });
  });
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
  const { signal, tag, onProgress, concurrency } = options;
  const { descriptor, bytes } = packed;
  const call = { signal };
  if ((await resolveIfThere(repository, descriptor.digest, call)) !== undefined) {
    await uploadContents(repository, packed, { ...call, concurrency });
    onProgress?.({ state: 'exists', descriptor });
    return true;
  }
  await uploadContents(repository, packed, options);
  onProgress?.({ state: 'uploading', descriptor });
  await repository.pushManifest(bytes, descriptor.mediaType, {
    ...call,
    described: descriptor,
    ...(tag !== undefined && { tag }),
  });
  onProgress?.({ state: 'uploaded', descriptor });
  return false;
}
