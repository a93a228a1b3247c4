import { InputError, type CallOptions, type Descriptor, type Repository, mapConcurrently } from '../oci/index.js';
import { checkTags, withoutOwnName } from './own-name.js';

export interface TagOptions extends CallOptions {
  /** Requests at once. Default: 5. */
  concurrency?: number | undefined;
  /** Called with the manifest before it is tagged. */
  onResolved?: ((descriptor: Descriptor) => void) | undefined;
  onTagged?: ((tag: string) => void) | undefined;
}

const CONCURRENCY = 5;

/** Pushes a manifest under tags, which may be written as references. */
export async function putTags(
  repository: Repository,
  manifest: { bytes: Uint8Array; descriptor: Pick<Descriptor, 'mediaType' | 'digest'>; described?: Descriptor },
  tags: readonly string[],
  options: Pick<TagOptions, 'concurrency' | 'onTagged' | 'signal'> = {},
): Promise<void> {
  const { mediaType, digest } = manifest.descriptor;
  const described = manifest.described && { described: manifest.described };
  await mapConcurrently([...new Set(tags)], options.concurrency ?? CONCURRENCY, async (tag) => {
    const call = { signal: options.signal };
    await repository.pushManifest(manifest.bytes, mediaType, {
      ...call,
      ...described,
      tag: withoutOwnName(repository, tag),
      digest,
    });
    // A tag that is named twice is written once and reported twice.
    for (const each of tags) if (each === tag) options.onTagged?.(tag);
  });
}

/**
 * Sets more tags of a manifest. If one of them is invalid, none is set.
 * @throws InputError `TAG_MISSING` if no tag is given, `REFERENCE_INVALID`; what the store throws
 */
export async function tagManifest(
  repository: Repository,
  tagOrDigest: string,
  tags: readonly string[],
  options: TagOptions = {},
): Promise<Descriptor> {
  if (tags.length === 0)
    throw new InputError('TAG_MISSING', 'no tag to be added', { remedy: 'Name one or more tags.' });
  checkTags(repository, tags);
  const call = { signal: options.signal };
  const manifest = await repository.fetchManifest(tagOrDigest, call);
  options.onResolved?.(manifest.descriptor);
  const described = repository.isLocal === true && { described: await repository.resolve(tagOrDigest, call) };
  await putTags(repository, { ...manifest, ...described }, tags, options);
  return manifest.descriptor;
}
