import type { Descriptor } from '../descriptor.js';
import type { Digest } from '../digest.js';
import { getOrMake } from '../memo.js';
import type { ReadableRepository, WritableRepository } from '../store.js';
import { openBody } from './bodies.js';
import type { Budget } from './budget.js';
import { mountFrom } from './mount-from.js';
import type { Arrival, Reporter } from './report.js';
import { onSide } from './side.js';

/** Maximum share of the byte budget for one blob, whatever its size. */
const BYTES_OF_ONE_STREAM = 8 * 1024 * 1024;

export interface BlobMove {
  source: ReadableRepository;
  destination: WritableRepository;
  /** Repositories of the destination registry that may have the blob, most likely first. */
  mountFrom: readonly string[];
  requests: Budget;
  bytes: Budget;
  signal: AbortSignal;
  reporter: Reporter;
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
    getOrMake(moved, descriptor.digest, async () => move.reporter.blob(await moveBlob(descriptor, move), descriptor));
}
