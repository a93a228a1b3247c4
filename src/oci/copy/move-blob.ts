import type { Descriptor } from '../descriptor.js';
import type { Digest } from '../digest.js';
import { getOrMake } from '../memo.js';
import type { OpenUpload, ReadableRepository, PartOptions, WritableRepository } from '../repository.js';
import { fromSource, openBody } from './open-content.js';
import type { Budget } from './budget.js';
import type { Arrival, Reporter } from './report.js';
import { mountFrom, onSide } from './side.js';

/** Maximum share of the byte budget for one blob, whatever its size. */
const BYTES_OF_ONE_STREAM = 8 * 1024 * 1024;

/** What copying a blob needs. */
export interface BlobMove {
  source: ReadableRepository;
  destination: WritableRepository;
  /** Repositories of the destination registry that may have the blob, most likely first. */
  mountFrom: readonly string[];
  requests: Budget;
  bytes: Budget;
  signal: AbortSignal;
  reporter: Reporter;
  arrivedBefore: (digest: Digest) => Arrival | undefined;
}

async function moveBlob(descriptor: Descriptor, move: BlobMove): Promise<Arrival> {
  const { source, destination, requests, bytes, signal, reporter } = move;
  for (const from of move.mountFrom) {
    const mounting = (): Promise<boolean> => mountFrom(destination, descriptor, from, signal);
    if (await onSide('destination', 'mount blob', () => requests.run(mounting, signal))) return 'mounted';
  }
  // The byte budget is taken before the request budget, so that a request never waits for bytes.
  const release = await bytes.take(Math.min(descriptor.size, BYTES_OF_ONE_STREAM), signal);
  try {
    let opened = false;
    const open = (): Promise<AsyncIterable<Uint8Array>> => {
      if (!opened) reporter.tell('started', descriptor);
      opened = true;
      return openBody(descriptor, source, signal);
    };
    const options = {
      signal,
      onBytes: (count: number): void => reporter.moving(count, descriptor),
      onMovedBefore: (): void => void (opened = true),
    };
    await onSide('destination', 'push blob', () =>
      requests.run(() => destination.pushBlob(descriptor, open, options), signal),
    );
    // A destination that has the blob does not open the source.
    return opened ? 'copied' : 'existed';
  } finally {
    release();
  }
}

/** Returns a function that copies each blob once, even if several manifests share it. */
export function createBlobMover(move: BlobMove): (descriptor: Descriptor) => Promise<void> {
  const moved = new Map<Digest, Promise<void>>();
  return (descriptor) =>
    getOrMake(moved, descriptor.digest, async () => {
      const arrival = await moveBlob(descriptor, move);
      move.reporter.blob(move.arrivedBefore(descriptor.digest) ?? arrival, descriptor);
    });
}

/** Options of {@link movePart}. */
export interface MovePartOptions extends PartOptions {
  /** Repositories of the destination registry to mount the blob from, most likely first. Default: none. */
  mountFrom?: readonly string[];
}

/** `more`: call again with `upload` to continue. */
export type MovedPart = { state: 'more'; upload: OpenUpload } | { state: Arrival };

/**
 * Copies a part of one blob, for a blob that takes longer than one process may run. It reads by Range from the source
 * and writes chunks of an upload that stays open between calls. The destination verifies the digest after the last
 * chunk.
 * @throws CopyError with the code of the failure and its side
 */
export async function movePart(
  blob: Descriptor,
  source: ReadableRepository,
  destination: WritableRepository,
  options: MovePartOptions,
): Promise<MovedPart> {
  const { signal = new AbortController().signal } = options;
  // If an upload is already open, mounting has been tried before.
  for (const from of options.from === undefined ? (options.mountFrom ?? []) : []) {
    if (await onSide('destination', 'mount blob', () => mountFrom(destination, blob, from, signal)))
      return { state: 'mounted' };
  }
  let opened = false;
  const openAt = (offset: number): Promise<AsyncIterable<Uint8Array>> => {
    opened = true;
    return onSide('source', 'fetch blob', async () =>
      fromSource(await source.openBlob(blob, { offset, signal, freesChunks: true })),
    );
  };
  const upload = await onSide('destination', 'push blob', async () => {
    if (destination.pushPart) return destination.pushPart(blob, openAt, options);
    return destination.pushBlob(blob, () => openAt(0), { signal });
  });
  if (upload) return { state: 'more', upload };
  return { state: opened || options.from !== undefined ? 'copied' : 'existed' };
}
