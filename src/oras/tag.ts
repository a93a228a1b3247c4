import { InputError, isTag, type CallOptions, type Descriptor, type Digest, type Repository } from '../oci/index.js';
import { forEachAtOnce } from './at-once.js';
import { withoutOwnName } from './own-name.js';

export interface TagOptions extends CallOptions {
  /** Requests at once; 5 as it comes. */
  concurrency?: number;
  /** Takes any text for a tag, as OCI image layouts do. As it comes: false. */
  anyText?: boolean;
  /** Called when it is known what is going to be tagged. */
  onResolved?: (descriptor: Descriptor) => void;
  onTagged?: (tag: string) => void;
}

const CONCURRENCY = 5;

/** @throws InputError `REFERENCE_INVALID` for what is not a tag */
export function checkTags(tags: readonly string[]): void {
  for (const tag of tags) {
    if (isTag(tag)) continue;
    throw new InputError('REFERENCE_INVALID', `${JSON.stringify(tag.slice(0, 200))} is not a tag`, {
      remedy: 'A tag has up to 128 letters, digits, dots, dashes and underscores, and begins with none of . and -.',
    });
  }
}

/** Puts a manifest's bytes under tags. @param options.plain the tag that a text stands for */
export function putTags(
  repository: Repository,
  manifest: { bytes: Uint8Array; descriptor: Pick<Descriptor, 'mediaType'> & { digest: Digest } },
  tags: readonly string[],
  options: Pick<TagOptions, 'concurrency' | 'onTagged' | 'signal'> & { plain?: (tag: string) => string } = {},
): Promise<void> {
  const { mediaType, digest } = manifest.descriptor;
  const { plain = (tag) => tag } = options;
  return forEachAtOnce([...new Set(tags)], options.concurrency ?? CONCURRENCY, async (tag) => {
    const call = options.signal ? { signal: options.signal } : {};
    await repository.pushManifest(manifest.bytes, mediaType, { ...call, tag: plain(tag), digest });
    // Named twice, it is told twice, and written once.
    for (const each of tags) if (each === tag) options.onTagged?.(tag);
  });
}

/**
 * Gives a manifest more tags. Nothing is written where one of them is no tag.
 * @throws InputError `TAG_MISSING` where there is none, `REFERENCE_INVALID`; what the store throws
 */
export async function tagManifest(
  repository: Repository,
  tagOrDigest: string,
  tags: readonly string[],
  options: TagOptions = {},
): Promise<Descriptor> {
  if (tags.length === 0)
    throw new InputError('TAG_MISSING', 'no tag to be added', { remedy: 'Name one or more tags.' });
  // In a layout, a tag may look like anything.
  const plain = (tag: string): string => (options.anyText === true ? tag : withoutOwnName(repository, tag));
  if (options.anyText !== true) checkTags(tags.map(plain));
  const manifest = await repository.fetchManifest(tagOrDigest, options.signal ? { signal: options.signal } : {});
  options.onResolved?.(manifest.descriptor);
  await putTags(repository, manifest, tags, { ...options, plain });
  return manifest.descriptor;
}
