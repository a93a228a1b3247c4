import {
  createDigester,
  digestAlgorithm,
  InputError,
  type CallOptions,
  type Descriptor,
  type Digest,
  type OpenBody,
  type Repository,
} from '../oci/index.js';
import type { Moving } from './moving.js';
import type { UploadProgress } from './upload.js';

export interface PushBlobOptions extends CallOptions {
  /** Part of the returned descriptor; it is not stored. Default: the type of an uncompressed layer. */
  mediaType?: string;
  /** The digest that the content must have; otherwise nothing is sent. */
  digest?: Digest;
  /** In bytes. */
  size?: number;
  onProgress?: (progress: UploadProgress | Moving) => void;
}

const LAYER = 'application/vnd.oci.image.layer.v1.tar';

async function describe(open: OpenBody, options: PushBlobOptions): Promise<Descriptor> {
  const digester = createDigester(options.digest && digestAlgorithm(options.digest));
  let size = 0;
  for await (const chunk of await open()) {
    options.signal?.throwIfAborted();
    digester.update(chunk);
    size += chunk.length;
  }
  return { mediaType: options.mediaType ?? LAYER, digest: digester.digest(), size };
}

/**
 * Pushes content as a blob. It is read once for its digest, and again to be sent.
 * @throws InputError `DIGEST_MISMATCH`, `SIZE_MISMATCH`; what the store throws
 */
export async function pushBlob(
  repository: Repository,
  open: OpenBody,
  options: PushBlobOptions = {},
): Promise<Descriptor> {
  const descriptor = await describe(open, options);
  if (options.size !== undefined && options.size !== descriptor.size) {
    throw new InputError(
      'SIZE_MISMATCH',
      `input size ${options.size} does not match the actual content size ${descriptor.size}`,
      {
        details: { expected: options.size, actual: descriptor.size },
      },
    );
  }
  if (options.digest !== undefined && options.digest !== descriptor.digest) {
    throw new InputError('DIGEST_MISMATCH', `the content has the digest ${descriptor.digest}, not ${options.digest}`, {
      details: { expected: options.digest, actual: descriptor.digest },
    });
  }
  const call = { signal: options.signal };
  // The body of an empty blob is never opened, so it would always be reported as existing.
  const isMissing = descriptor.size === 0 && !(await repository.hasBlob(descriptor, call));
  let isSent = false;
  if (isMissing) options.onProgress?.({ state: 'uploading', descriptor });
  await repository.pushBlob(
    descriptor,
    () => {
      // A second opening is a retry.
      if (!isSent && !isMissing) options.onProgress?.({ state: 'uploading', descriptor });
      isSent = true;
      return open();
    },
    { ...call, onBytes: (moreBytes) => options.onProgress?.({ state: 'moving', descriptor, moreBytes }) },
  );
  options.onProgress?.({ state: isSent || isMissing ? 'uploaded' : 'exists', descriptor });
  return descriptor;
}
