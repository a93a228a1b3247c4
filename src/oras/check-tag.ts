import { setTimeout as pause } from 'node:timers/promises';
import {
  CopyError,
  digestAlgorithm,
  onSide,
  resolveIfThere,
  type CallOptions,
  type Descriptor,
  type ReadableRepository,
} from '../oci/index.js';

/**
 * Reads a tag back after it was set: a registry may accept it and lose it, or a replica may be stale.
 * @param options.pausesMs pauses in milliseconds before it is read again. Default: it is read once
 * @throws CopyError `TAG_LOST`, which names the digest that the tag has instead; `DIGEST_MISMATCH` if that digest has
 * another algorithm, because most registries compute sha256 for a push to a tag
 */
export async function checkTag(
  destination: Pick<ReadableRepository, 'name' | 'resolve'>,
  tag: string,
  { digest }: Pick<Descriptor, 'digest'>,
  { pausesMs = [], ...call }: CallOptions & { pausesMs?: readonly number[] },
): Promise<void> {
  const read = (): Promise<Descriptor | undefined> =>
    onSide('destination', 'read the tag back', () => resolveIfThere(destination, tag, call));
  let actual = (await read())?.digest;
  for (const waitMs of pausesMs) {
    if (actual === digest) return;
    if (actual !== undefined && digestAlgorithm(actual) !== digestAlgorithm(digest)) break;
    await pause(waitMs, undefined, call);
    actual = (await read())?.digest;
  }
  if (actual === digest) return;
  const details = { destination: destination.name, tag, expected: digest, actual: actual ?? null };
  if (actual !== undefined && digestAlgorithm(actual) !== digestAlgorithm(digest)) {
    throw new CopyError(
      'DIGEST_MISMATCH',
      `${destination.name} stores ${digest}, but its tag ${tag} has another digest, ${actual}`,
      { details, remedy: 'Copy to the digest alone, or to a registry that keeps tags of digests of this algorithm.' },
    );
  }
  throw new CopyError(
    'TAG_LOST',
    `${destination.name}:${tag} was set to ${digest}, but the registry answers ${actual ?? 'that it is missing'}`,
    {
      details,
      remedy: 'Copy again. If it stays, a replica or a proxy may be late, or another client writes this tag.',
    },
  );
}
