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

/** The events of making or changing an index. */
export type IndexProgress =
  | { state: 'fetching'; reference: string }
  | { state: 'fetched' | 'added' | 'merged'; reference: string; digest: Digest }
  | { state: 'removed'; digest: Digest }
  | { state: 'made' | 'pushed'; descriptor: Descriptor }
  | { state: 'tagged'; tag: string };

/** The options that making and changing an index have in common. */
export interface WriteIndexOptions extends CallOptions {
  /** False makes the index without pushing it. Default: true. */
  push?: boolean;
  /** The index is pushed under the first tag, then tagged with the others. Without tags it is pushed under its digest. */
  tags?: readonly string[];
  /** Tags that are set afterwards. */
  extraTags?: readonly string[];
  onProgress?: ((progress: IndexProgress) => void) | undefined;
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

/** Encodes an index, pushes it under the first tag, and sets the others. @param digest the digest that it must have */
export async function writeIndex(
  repository: Repository,
  index: Omit<ImageIndex, 'kind'>,
  options: WriteIndexOptions & { digest?: Digest | undefined },
): Promise<WrittenIndex> {
  const { tags = [], extraTags = [], signal, onProgress, digest: wanted } = options;
  const bytes = encodeIndex(index);
  const digest = digestOf(bytes, wanted && digestAlgorithm(wanted));
  if (wanted !== undefined && wanted !== digest) {
    throw new InputError('DIGEST_MISMATCH', `the index has the digest ${digest}, not ${wanted}`, {
      details: { expected: wanted, actual: digest },
      remedy: 'Give a tag, or only the repository: the digest depends on the content of the index.',
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
  const call = { signal };
  await repository.pushManifest(bytes, mediaType, { ...call, digest, ...(first !== undefined && { tag: first }) });
  onProgress?.({ state: 'pushed', descriptor });
  await putTags(repository, { bytes, descriptor }, [...others, ...extraTags], {
    ...call,
    onTagged: (tag) => onProgress?.({ state: 'tagged', tag }),
  });
  return { descriptor, bytes };
}
