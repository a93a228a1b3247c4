import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BlobServiceClient, BlockBlobClient } from '@azure/storage-blob';
import type { HeldLease, Lease } from '../oci/index.js';
import { HeldBlobLease } from './held-blob-lease.js';
import { callStorageUnless, storageError, storageFailure } from './storage-errors.js';
import { hashKey } from './table-keys.js';

const EMPTY = new Uint8Array();
/** 409 BlobAlreadyExists, 412 LeaseIdMissing: another process made the blob and may already hold the lease. */
const EXISTS = [409, 412];
const POLL_FIRST_MS = 50;
const POLL_MOST_MS = 1000;

export interface LeaseTimes {
  /** 15 to 60, default 15. After a crash of the holder, everybody waits this long. */
  leaseSeconds?: number;
  /** Default: a third of the lease. */
  renewEveryMs?: number;
}

/** The port Lease, implemented with blob leases: one empty blob per name, in the container `leases`. */
export function blobLease(service: BlobServiceClient, times: LeaseTimes = {}): Lease {
  const { leaseSeconds = 15 } = times;
  const renewEveryMs = times.renewEveryMs ?? (leaseSeconds * 1000) / 3;
  const container = service.getContainerClient('leases');
  return {
    async acquire(name, options = {}) {
      const what = `the lease of ${name}`;
      const blob = container.getBlockBlobClient(hashKey(name));
      const deadlineMs = Date.now() + (options.waitMs ?? 0);
      for (let pollMs = POLL_FIRST_MS; ; pollMs = Math.min(pollMs * 2, POLL_MOST_MS)) {
        options.signal?.throwIfAborted();
        const held = await take(what, blob, leaseSeconds, renewEveryMs);
        const leftMs = deadlineMs - Date.now();
        if (held !== undefined || leftMs <= 0) {
          return held;
        }
        const pauseMs = Math.min(randomInt(Math.ceil(pollMs / 2), pollMs + 1), leftMs);
        await sleep(pauseMs, undefined, options.signal && { signal: options.signal });
      }
    },
  };
}

/** Tries once; creates the blob if it does not exist. @returns undefined if somebody else holds the lease */
async function take(
  what: string,
  blob: BlockBlobClient,
  leaseSeconds: number,
  renewEveryMs: number,
): Promise<HeldLease | undefined> {
  // The client chooses the lease id, so the SDK may repeat the request: the same id gets the lease it already has.
  const client = blob.getBlobLeaseClient();
  for (let made = false; ; made = true) {
    // Taken before the request, because the service starts counting at some later moment.
    const fromMs = Date.now();
    try {
      await client.acquireLease(leaseSeconds);
      return new HeldBlobLease(what, client, { fromMs, leaseMs: leaseSeconds * 1000, renewEveryMs });
    } catch (error) {
      const { statusCode, code } = storageFailure(error);
      if (statusCode === 409) {
        return undefined;
      }
      if (statusCode !== 404 || code === 'ContainerNotFound' || made) {
        throw storageError(what, error);
      }
    }
    await callStorageUnless(what, EXISTS, () => blob.upload(EMPTY, 0, { conditions: { ifNoneMatch: '*' } }));
  }
}
