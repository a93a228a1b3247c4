import type { Descriptor } from '../oci/index.js';
import { tagManifest } from '../oras/index.js';
import { described, tagOrDigestOf, type Opened, type OperationResult, type Progress } from './operation.js';
import type { InputOf } from './operation-schema.js';
import type { tag } from './tag.schema.js';

export type TagEvent = { state: 'resolved'; descriptor: Descriptor } | { state: 'tagged'; tag: string };

/** Gives a manifest more tags. */
export async function run(
  opened: Opened,
  { reference: _reference, tags, ...options }: InputOf<typeof tag>,
  _files: undefined,
  { signal, event }: Progress<TagEvent>,
): Promise<OperationResult> {
  const { repository } = opened;
  const descriptor = await tagManifest(repository, tagOrDigestOf(opened), tags, {
    ...options,
    signal,
    onResolved: (resolved) => event?.({ state: 'resolved', descriptor: resolved }),
    onTagged: (each) => event?.({ state: 'tagged', tag: each }),
  });
  return { output: { ...described(repository.name, descriptor), tags }, digest: descriptor.digest };
}
