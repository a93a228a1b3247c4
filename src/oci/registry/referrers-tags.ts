import { isRecord, type Descriptor } from '../descriptor.js';
import type { Digest } from '../digest.js';
import { PromoterError, RegistryError } from '../errors.js';
import type { HeldLease, Lease } from '../lease.js';
import { OCI_IMAGE_INDEX } from '../media-types.js';
import type { CallOptions } from '../store.js';
import { abortable } from './abortable.js';
import type { RepositoryContext } from './endpoint.js';
import { putManifest, removeManifest } from './manifests.js';
import { formatIndex, hasEntry, readReferrersIndex, referrersTag, type ReferrersIndex } from './referrers-index.js';
import { pauseMs, sleepMs } from './retry.js';
import { Shared } from './shared.js';

/** Times an index of the tag schema is read, written and read back. `REFERRERS_INDEX_CONTENDED` */
const INDEX_TRIES = 12;
/** Milliseconds in which changes to an index are gathered before the first is written. */
const GATHER_MS = 10;
/** Milliseconds to wait for another holder of the index's lease. `REFERRERS_INDEX_BUSY` */
const LEASE_WAIT_MS = 60_000;
/** Milliseconds before the lease's end in which nothing is written any more. */
const LEASE_MARGIN_MS = 1000;

/** What is to become of one entry of a subject's index. */
export type ReferrersChange = { add: Descriptor } | { remove: Digest };

interface Waiting {
  change: ReferrersChange;
  signal: AbortSignal | undefined;
  resolve: () => void;
  reject: (error: unknown) => void;
}

function isDone(index: ReferrersIndex, change: ReferrersChange): boolean {
  if ('remove' in change) return !hasEntry(index, change.remove);
  const { add } = change;
  const found = index.entries.filter((entry) => isRecord(entry) && entry.digest === add.digest);
  return found.length > 0 && found.every((entry) => isTrueOf(entry, add));
}

/** Anybody may have written the entry: one that lies would hide the manifest from those who ask for its type. */
function isTrueOf(entry: unknown, { mediaType, size, artifactType }: Descriptor): boolean {
  if (!isRecord(entry) || entry.mediaType !== mediaType || entry.size !== size) return false;
  return entry.artifactType === undefined || entry.artifactType === artifactType;
}

function apply(index: ReferrersIndex, changes: readonly ReferrersChange[]): ReferrersIndex {
  let { entries } = index;
  for (const change of changes) {
    if (isDone({ ...index, entries }, change)) continue;
    const digest = 'add' in change ? change.add.digest : change.remove;
    const others = entries.filter((entry) => !isRecord(entry) || entry.digest !== digest);
    entries = 'add' in change ? [...others, change.add] : others;
  }
  return { ...index, entries };
}

/** Aborted with the lease, and a moment before the time until which it is certain. */
function leaseSignal(held: HeldLease): AbortSignal {
  const leftMs = held.heldUntilMs - Date.now() - LEASE_MARGIN_MS;
  return leftMs <= 0 ? AbortSignal.abort() : AbortSignal.any([held.signal, AbortSignal.timeout(leftMs)]);
}

/**
 * Writes the tag schema's indexes. Changes to one index that come together are written together, one write after the other
 * in this process, and under the lease among processes; each is read back, and written again where another writer's took its
 * place. Without a lease, two processes can still lose each other's entries (go-containerregistry#2205).
 */
export class ReferrersTags {
  readonly #lease: Lease | undefined;
  readonly #queues = new Map<string, Waiting[]>();

  constructor(lease: Lease | undefined) {
    this.#lease = lease;
  }

  /** @throws PromoterError `REFERRERS_INDEX_BUSY`, `REFERRERS_INDEX_CONTENDED`, both transient */
  change(
    context: RepositoryContext,
    subject: Digest,
    change: ReferrersChange,
    options: CallOptions = {},
  ): Promise<void> {
    const key = `${context.name}@${subject}`;
    const written = new Promise<void>((resolve, reject) => {
      const waiting: Waiting = { change, signal: options.signal, resolve, reject };
      const queue = this.#queues.get(key);
      if (queue !== undefined) {
        queue.push(waiting);
        return;
      }
      const own = [waiting];
      this.#queues.set(key, own);
      void this.#work(context, subject, key, own);
    });
    return abortable(written, options.signal);
  }

  async #work(context: RepositoryContext, subject: Digest, key: string, queue: Waiting[]): Promise<void> {
    // Those of a copy come within moments of each other: the first write waits for them, and saves a second one.
    await sleepMs(GATHER_MS, undefined);
    for (;;) {
      const batch = queue.splice(0);
      if (batch.length === 0) break;
      const live = batch.filter(({ signal, reject }) => {
        if (signal?.aborted === true) reject(signal.reason);
        return signal?.aborted !== true;
      });
      if (live.length === 0) continue;
      const changes = live.map(({ change }) => change);
      const writing = new Shared((signal) => this.#write(context, subject, changes, { key, signal }));
      for (const { signal, resolve, reject } of live) writing.wait(signal).then(resolve, reject);
      await writing.ended();
    }
    this.#queues.delete(key);
  }

  async #write(
    context: RepositoryContext,
    subject: Digest,
    changes: readonly ReferrersChange[],
    { key, signal }: { key: string; signal: AbortSignal },
  ): Promise<void> {
    const held = await this.#lease?.acquire(`referrers ${key}`, { waitMs: LEASE_WAIT_MS, signal });
    if (this.#lease !== undefined && held === undefined) {
      throw new PromoterError('REFERRERS_INDEX_BUSY', `${key}: another writer holds its index of referrers`, {
        transient: true,
      });
    }
    try {
      for (let attempt = 1; attempt <= INDEX_TRIES; attempt += 1) {
        if (attempt > 1) await sleepMs(pauseMs(attempt, context.endpoint.retryBaseMs / 4), signal);
        if (await this.#writeOnce(context, subject, changes, { held, mayRemove: attempt === 1, signal })) return;
      }
    } finally {
      await held?.release();
    }
    throw new PromoterError(
      'REFERRERS_INDEX_CONTENDED',
      `${key}: other writers keep overwriting its index of referrers`,
      {
        transient: true,
        remedy: 'Let every writer use the same lease, or a registry with the referrers API.',
      },
    );
  }

  /** One time read, write, read back; true when the index holds what it should. */
  async #writeOnce(
    context: RepositoryContext,
    subject: Digest,
    changes: readonly ReferrersChange[],
    { held, mayRemove, signal }: { held: HeldLease | undefined; mayRemove: boolean; signal: AbortSignal },
  ): Promise<boolean> {
    const before = await readReferrersIndex(context, subject, { forWriting: true, signal });
    if (changes.every((change) => isDone(before, change))) return true;
    const after = apply(before, changes);
    const leased = held === undefined ? undefined : leaseSignal(held);
    const options = { signal: leased === undefined ? signal : AbortSignal.any([leased, signal]) };
    try {
      // Where the tag outlives the manifest that it pointed to, or that can't be deleted, an empty index takes its place.
      const removed =
        mayRemove &&
        after.entries.length === 0 &&
        before.digest !== undefined &&
        (await tryRemove(context, before.digest, options));
      if (!removed) {
        await putManifest(context, formatIndex(after), OCI_IMAGE_INDEX, {
          ...options,
          tag: referrersTag(subject),
          ...(before.etag !== undefined && { ifMatch: before.etag }),
        });
      }
    } catch (error) {
      if (error instanceof RegistryError && error.info.status === 412) return false;
      if (signal.aborted || leased?.aborted !== true) throw error;
      throw new PromoterError(
        'REFERRERS_INDEX_BUSY',
        `${context.name}@${subject}: the lease on its index of referrers was lost`,
        {
          cause: error,
          transient: true,
        },
      );
    }
    const now = await readReferrersIndex(context, subject, { signal });
    return changes.every((change) => isDone(now, change));
  }
}

/** Takes an index that has become empty away; false where that is not allowed (oras#954). */
async function tryRemove(context: RepositoryContext, digest: Digest, options: CallOptions): Promise<boolean> {
  try {
    await removeManifest(context, digest, options);
    return true;
  } catch (error) {
    if (error instanceof RegistryError && error.info.status < 500) return error.notFound;
    throw error;
  }
}
