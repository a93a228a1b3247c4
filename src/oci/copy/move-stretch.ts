import type { Descriptor } from '../descriptor.js';
import type { OpenUpload, ReadableRepository, StretchOptions, WritableRepository } from '../store.js';
import { fromSource } from './bodies.js';
import type { Arrival } from './report.js';
import { mountFrom } from './mount-from.js';
import { onSide } from './side.js';

export interface MoveStretchOptions extends StretchOptions {
  /** Repositories of the destination registry to mount the blob from, most likely first. Default: none. */
  mountFrom?: readonly string[];
}

/** `more`: call again with `upload` to continue. */
export type MovedStretch = { state: 'more'; upload: OpenUpload } | { state: Arrival };

/**
 * Copies a part of one blob, for a blob that takes longer than one process may run. It reads by Range from the source
 * and writes chunks of an upload that stays open between calls. The destination verifies the digest after the last
 * chunk.
 * @throws CopyError with the code of the failure and its side
 */
export async function moveStretch(
  blob: Descriptor,
  source: ReadableRepository,
  destination: WritableRepository,
  options: MoveStretchOptions,
): Promise<MovedStretch> {
  const { signal = new AbortController().signal } = options;
  // If an upload is already open, mounting has been tried before.
  for (const from of options.from === undefined ? (options.mountFrom ?? []) : []) {
    if (await onSide('destination', 'mount blob', () => mountFrom(destination, blob, from, signal)))
      return { state: 'mounted' };
  }
  let opened = false;
  const openAt = (offset: number): Promise<AsyncIterable<Uint8Array>> => {
    opened = true;
    return onSide('source', 'fetch blob', async () => fromSource(await source.openBlob(blob, { offset, signal })));
  };
  const upload = await onSide('destination', 'push blob', async () => {
    if (destination.pushStretch) return destination.pushStretch(blob, openAt, options);
    return destination.pushBlob(blob, () => openAt(0), { signal });
  });
  if (upload) return { state: 'more', upload };
  return { state: opened || options.from !== undefined ? 'copied' : 'existed' };
}
