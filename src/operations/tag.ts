import type { Descriptor } from '../oci/index.js';
import { tagManifest } from '../oras/index.js';
import { described, tagOrDigestOf, type Operation } from './operation.js';
import type { tag } from './tag.schema.js';

export type TagEvent = { state: 'resolved'; descriptor: Descriptor } | { state: 'tagged'; tag: string };

/** Gives a manifest more tags. */
export const run: Operation<typeof tag, undefined, TagEvent> = async (
  opened,
  { reference: _reference, tags, ...options },
  _files,
  { signal, event },
) => {
  const { repository } = opened;
  const descriptor = await tagManifest(repository, tagOrDigestOf(opened), tags, {
    ...options,
    signal,
    onResolved: (resolved) => event?.({ state: 'resolved', descriptor: resolved }),
    onTagged: (each) => event?.({ state: 'tagged', tag: each }),
  });
  return { output: { ...described(repository.name, descriptor), tags }, digest: descriptor.digest };
};
