import type { BlobLeaseClient } from '@azure/storage-blob';
import { TransportError } from '../oci/index.js';
import type { HeldLease } from '../oci/index.js';
import { storageFailure } from './storage-errors.js';

/** Who renews a lease that is no longer theirs is told so: another's (409), broken (409), or the blob is gone (404, 412). */
const LOST = [404, 409, 412];

export interface HeldTimes {
  /** Epoch milliseconds before the lease was asked for. */
  fromMs: number;
  leaseMs: number;
  renewEveryMs: number;
}

/** A blob lease that is renewed until it is released or lost. Its timers keep no process alive. */
export class HeldBlobLease implements HeldLease {
  readonly #what: string;
  readonly #client: BlobLeaseClient;
  readonly #times: HeldTimes;
  readonly #lost = new AbortController();
  /** Ends the renewal that is under way. */
  readonly #done = new AbortController();
  #heldUntilMs: number;
  #renewal: NodeJS.Timeout | undefined;
  #expiry: NodeJS.Timeout | undefined;
  #releasing: Promise<void> | undefined;

  constructor(what: string, client: BlobLeaseClient, times: HeldTimes) {
    this.#what = what;
    this.#client = client;
    this.#times = times;
    this.#heldUntilMs = 0;
    this.#holdFrom(times.fromMs);
    this.#renewIn(times.renewEveryMs);
  }

  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  get heldUntilMs(): number {
    return this.#heldUntilMs;
  }

  release(): Promise<void> {
    this.#stop();
    this.#releasing ??= this.#release();
    return this.#releasing;
  }

  async #release(): Promise<void> {
    try {
      await this.#client.releaseLease();
    } catch {
      // Lost, or not reachable: then it ends by itself, within the lease's time. What was done under it has been done.
    }
  }

  #holdFrom(fromMs: number): void {
    const { leaseMs } = this.#times;
    this.#heldUntilMs = fromMs + leaseMs;
    clearTimeout(this.#expiry);
    // A tenth earlier, so that a write that is under way ends before another may begin.
    const leftMs = this.#heldUntilMs - leaseMs / 10 - Date.now();
    this.#expiry = setTimeout(() => {
      this.#lose('it could not be renewed in time');
    }, leftMs).unref();
  }

  #renewIn(ms: number): void {
    this.#renewal = setTimeout(() => {
      void this.#renew();
    }, ms).unref();
  }

  async #renew(): Promise<void> {
    const { renewEveryMs } = this.#times;
    const fromMs = Date.now();
    try {
      const abortSignal = AbortSignal.any([this.#done.signal, AbortSignal.timeout(renewEveryMs)]);
      await this.#client.renewLease({ abortSignal });
      if (!this.#done.signal.aborted) {
        this.#holdFrom(fromMs);
        this.#renewIn(renewEveryMs);
      }
    } catch (error) {
      const { statusCode } = storageFailure(error);
      if (this.#done.signal.aborted) {
        return;
      }
      if (statusCode !== undefined && LOST.includes(statusCode)) {
        this.#lose('another has it, or it was broken');
      } else {
        // The service may be back before the lease ends.
        this.#renewIn(renewEveryMs / 5);
      }
    }
  }

  #lose(reason: string): void {
    this.#stop();
    this.#heldUntilMs = 0;
    this.#lost.abort(
      new TransportError('LEASE_LOST', `${this.#what} was lost: ${reason}`, {
        remedy: 'Nothing was written after it; it is tried again.',
      }),
    );
  }

  #stop(): void {
    clearTimeout(this.#renewal);
    clearTimeout(this.#expiry);
    this.#done.abort();
  }
}
