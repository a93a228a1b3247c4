import { isRecord, type Descriptor } from '../descriptor.js';
import type { Digest } from '../digest.js';
import { PromoterError, RegistryError } from '../errors.js';
import type { HeldLease, Lease } from '../lease.js';
import { OCI_IMAGE_INDEX } from '../media-types.js';
import type { CallOptions } from '../repository.js';
import { abortable, Shared } from '../concurrency.js';
import type { RepositoryContext } from './endpoint.js';
import { putManifest, removeManifest } from './manifests.js';
import { formatIndex, hasEntry, readReferrersIndex, referrersTag, type ReferrersIndex } from './referrers-index.js';
import { pauseMs, sleepMs } from './retry.js';

/** Maximum times that an index is read, written and read back. `REFERRERS_INDEX_CONTENDED` */
const INDEX_TRIES = 12;
/** Milliseconds for which changes of an index are collected before the first write. */
const GATHER_MS = 10;
/** Maximum milliseconds to wait for another holder of the index's lease. `REFERRERS_INDEX_BUSY` */
const LEASE_WAIT_MS = 60_000;
/** Nothing is written in the last milliseconds of a lease. */
const LEASE_MARGIN_MS = 1000;

/** A change of one entry in a subject's index. */
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

/** Anybody may have written the entry. A wrong one would hide the manifest from clients that filter by type. */
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

/** Aborted when the lease is lost, or shortly before it may end. */
function leaseSignal(held: HeldLease): AbortSignal {
  const leftMs = held.heldUntilMs - Date.now() - LEASE_MARGIN_MS;
  return leftMs <= 0 ? AbortSignal.abort() : AbortSignal.any([held.signal, AbortSignal.timeout(leftMs)]);
}

/**
 * Writes the indexes of the referrers tag schema. Changes of one index that arrive together are written together.
 * Writes to one index are serialized in this process, and between processes by the lease. Each write is read back and
 * repeated if another writer has replaced it. Without a lease, two processes can lose each other's entries
 * (go-containerregistry#2205).
 */
export class ReferrersTags {
  readonly #lease: Lease | undefined;
  readonly #queues = new Map<string, Waiting[]>();

  constructor(lease: Lease | undefined) {
    this.#lease = lease;
  }

  /**
   * Applies a change to a subject's index.
   * @throws PromoterError `REFERRERS_INDEX_BUSY`, `REFERRERS_INDEX_CONTENDED`; both are transient
   */
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
    // The changes of one copy arrive within milliseconds, so the first write waits for the others.
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
      throw new PromoterError(
        'REFERRERS_INDEX_BUSY',
        `${key}: another writer holds the lease on its index of referrers`,
        {
          transient: true,
        },
      );
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
        remedy: 'Use one lease for all writers, or a registry with the referrers API.',
      },
    );
  }

  /**
   * Reads, writes and reads back once.
   * @returns true if the index contains all changes
   */
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
      // An empty index is written if the manifest cannot be deleted, or the tag remains after its deletion.
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

/**
 * Deletes an index that has become empty.
 * @returns false if the registry does not allow it (oras#954)
 */
async function tryRemove(context: RepositoryContext, digest: Digest, options: CallOptions): Promise<boolean> {
  try {
    await removeManifest(context, digest, options);
    return true;
  } catch (error) {
    if (error instanceof RegistryError && error.info.status < 500) return error.notFound;
    throw error;
  }
}
