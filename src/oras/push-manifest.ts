import {
  resolveIfThere,
  digestAlgorithm,
  digestOf,
  InputError,
  IntegrityError,
  isRecord,
  type CallOptions,
  type Descriptor,
  type Digest,
  type Repository,
  MANIFEST_BYTES,
} from '../oci/index.js';
import { putTags } from './tag.js';
import type { UploadProgress } from './upload.js';

export interface PushManifestOptions extends CallOptions {
  /** Default: the media type in the manifest. */
  mediaType?: string | undefined;
  /** Without tags it is pushed under its digest. */
  tags?: readonly string[];
  /** The digest that the bytes must have. */
  digest?: Digest | undefined;
  /** Requests at once for further tags. Default: 5. */
  concurrency?: number | undefined;
  onProgress?: ((progress: UploadProgress) => void) | undefined;
  /** Called for each tag but the first. */
  onTagged?: ((tag: string) => void) | undefined;
}

/** @throws InputError `MANIFEST_INVALID`, `MEDIA_TYPE_MISSING` */
function mediaTypeIn(bytes: Uint8Array): string {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new InputError('MANIFEST_INVALID', 'the manifest is not JSON', { cause });
  }
  if (isRecord(json) && typeof json.mediaType === 'string' && json.mediaType !== '') return json.mediaType;
  throw new InputError('MEDIA_TYPE_MISSING', 'the manifest has no media type', {
    remedy: 'Add mediaType to the manifest, or use --media-type.',
  });
}

/**
 * Pushes a manifest byte for byte. It is not sent if the tag (or, without a tag, the digest) exists and names it
 * already.
 * @throws InputError `MANIFEST_INVALID`, `MEDIA_TYPE_MISSING`, `DIGEST_MISMATCH`; IntegrityError `TOO_LARGE`; what the
 * store throws
 */
export async function pushManifest(
  repository: Repository,
  bytes: Uint8Array,
  options: PushManifestOptions = {},
): Promise<Descriptor> {
  const { signal, tags = [], digest: wanted } = options;
  const call = { signal };
  if (bytes.length > MANIFEST_BYTES) {
    throw new IntegrityError('TOO_LARGE', `the manifest has ${bytes.length} bytes; the maximum is ${MANIFEST_BYTES}`);
  }
  const mediaType = options.mediaType ?? mediaTypeIn(bytes);
  const digest = digestOf(bytes, wanted && digestAlgorithm(wanted));
  if (wanted !== undefined && wanted !== digest) {
    throw new InputError('DIGEST_MISMATCH', `the manifest has the digest ${digest}, not ${wanted}`, {
      details: { expected: wanted, actual: digest },
    });
  }
  const descriptor: Descriptor = { mediaType, digest, size: bytes.length };
  const [first, ...others] = tags;
  if ((await resolveIfThere(repository, first ?? digest, call))?.digest === digest) {
    options.onProgress?.({ state: 'exists', descriptor });
  } else {
    options.onProgress?.({ state: 'uploading', descriptor });
    await repository.pushManifest(bytes, mediaType, { ...call, digest, ...(first !== undefined && { tag: first }) });
    options.onProgress?.({ state: 'uploaded', descriptor });
  }
  await putTags(repository, { bytes, descriptor }, others, options);
  return descriptor;
}
