import {
  digestAlgorithm,
  digestOf,
  InputError,
  type CallOptions,
  type Descriptor,
  type Digest,
  type ImageIndex,
  type Repository,
  quoted,
} from '../oci/index.js';
import { encodeIndex } from './index-json.js';
import { putTags } from './tag.js';

/** What is reported while an index is made. */
export type IndexProgress =
  | { state: 'fetching'; reference: string }
  | { state: 'fetched' | 'added' | 'merged'; reference: string; digest: Digest }
  | { state: 'removed'; digest: Digest }
  | { state: 'made' | 'pushed'; descriptor: Descriptor }
  | { state: 'tagged'; tag: string };

/** What making and changing an index have in common. */
export interface WriteIndexOptions extends CallOptions {
  /** False only makes it. Default: true. */
  push?: boolean;
  /** What it is put under at first, and then. None: its digest alone. */
  tags?: readonly string[];
  /** Tags that it gets when it is there. */
  extraTags?: readonly string[];
  onProgress?: (progress: IndexProgress) => void;
}

export interface WrittenIndex {
  descriptor: Descriptor;
  bytes: Uint8Array;
}

const MEDIA_TYPE = /^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}\/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}$/;

/** @throws InputError `MEDIA_TYPE_INVALID` */
export function checkMediaType(text: string): void {
  if (MEDIA_TYPE.test(text)) return;
  throw new InputError('MEDIA_TYPE_INVALID', `${quoted(text)} is not a media type`, {
    remedy: 'Write it as type/subtype, such as application/vnd.example+json.',
  });
}

/** Encodes an index, pushes it under the first tag and puts the others on it. @param digest what it must come out as */
export async function writeIndex(
  repository: Repository,
  index: Omit<ImageIndex, 'kind'>,
  options: WriteIndexOptions & { digest?: Digest },
): Promise<WrittenIndex> {
  const { tags = [], extraTags = [], signal, onProgress, digest: wanted } = options;
  const bytes = encodeIndex(index);
  const digest = digestOf(bytes, wanted && digestAlgorithm(wanted));
  if (wanted !== undefined && wanted !== digest) {
    throw new InputError('DIGEST_MISMATCH', `the index has the digest ${digest}, not ${wanted}`, {
      details: { expected: wanted, actual: digest },
      remedy: 'Name it by a tag, or by nothing: its digest comes out of what is in it.',
    });
  }
  const { mediaType, artifactType, annotations } = index;
  const descriptor: Descriptor = {
    mediaType,
    digest,
    size: bytes.length,
    ...(annotations && { annotations }),
    ...(artifactType !== undefined && { artifactType }),
  };
  onProgress?.({ state: 'made', descriptor });
  if (options.push === false) return { descriptor, bytes };
  const [first, ...others] = tags;
  const call = signal ? { signal } : {};
  await repository.pushManifest(bytes, mediaType, { ...call, digest, ...(first !== undefined && { tag: first }) });
  onProgress?.({ state: 'pushed', descriptor });
  await putTags(repository, { bytes, descriptor }, [...others, ...extraTags], {
    ...call,
    onTagged: (tag) => onProgress?.({ state: 'tagged', tag }),
  });
  return { descriptor, bytes };
}
