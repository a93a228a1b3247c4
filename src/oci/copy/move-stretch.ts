import type { Descriptor } from '../descriptor.js';
import type { OpenUpload, ReadableRepository, StretchOptions, WritableRepository } from '../store.js';
import { fromSource } from './bodies.js';
import type { Arrival } from './report.js';
import { mountFrom } from './mount-from.js';
import { onSide } from './side.js';

export interface MoveStretchOptions extends StretchOptions {
  /** Repositories of the destination's registry to mount it from, the likeliest first. Default: none. */
  mountFrom?: readonly string[];
}

/** `more`: gone on with by giving `upload` back. */
export type MovedStretch = { state: 'more'; upload: OpenUpload } | { state: Arrival };

/**
 * Moves a part of one blob, which takes longer than one process is given: by Range from the source, in pieces of an upload that
 * is kept open from call to call. The destination checks the digest when the last piece has come.
 * @throws CopyError with the code of what failed and the side on which it did.
 */
export async function moveStretch(
  blob: Descriptor,
  source: ReadableRepository,
  destination: WritableRepository,
  options: MoveStretchOptions,
): Promise<MovedStretch> {
  const { signal = new AbortController().signal } = options;
  // Who has begun to move it could not mount it.
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
