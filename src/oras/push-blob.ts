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
import { uploadBlob, type UploadProgress } from './upload.js';

export interface PushBlobOptions extends CallOptions {
  /** Part of the returned descriptor; it is not stored. Default: the type of an uncompressed layer. */
  mediaType?: string | undefined;
  /** The digest that the content must have; otherwise nothing is sent. */
  digest?: Digest | undefined;
  /** In bytes. */
  size?: number | undefined;
  onProgress?: ((progress: UploadProgress | Moving) => void) | undefined;
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
  await uploadBlob(repository, { descriptor, open }, options);
  return descriptor;
}
