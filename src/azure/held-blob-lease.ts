import type { BlobLeaseClient } from '@azure/storage-blob';
import { TransportError } from '../oci/index.js';
import type { HeldLease } from '../oci/index.js';
import { storageFailure } from './storage-errors.js';

/**
 * Answers to the renewal of a lost lease: somebody else has it or it was broken (409), or the blob is gone (404, 412).
 */
const LOST = [404, 409, 412];

export interface HeldTimes {
  /** A time before the lease was requested, in epoch milliseconds. */
  fromMs: number;
  leaseMs: number;
  renewEveryMs: number;
}

/** A blob lease that is renewed until it is released or lost. Its timers do not keep the process alive. */
export class HeldBlobLease implements HeldLease {
  readonly #what: string;
  readonly #client: BlobLeaseClient;
  readonly #times: HeldTimes;
  readonly #lost = new AbortController();
  /** Aborts a running renewal. */
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
      // The lease was lost, or the service cannot be reached. The lease expires by itself, and the work that it
      // protected is done.
    }
  }

  #holdFrom(fromMs: number): void {
    const { leaseMs } = this.#times;
    this.#heldUntilMs = fromMs + leaseMs;
    clearTimeout(this.#expiry);
    // A tenth earlier, so that a write in progress ends before somebody else may begin.
    const leftMs = this.#heldUntilMs - leaseMs / 10 - Date.now();
    this.#expiry = setTimeout(() => {
      this.#lose('the lease could not be renewed in time');
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
        this.#lose('somebody else holds it, or it was broken');
      } else {
        // The service may answer again before the lease ends.
        this.#renewIn(renewEveryMs / 5);
      }
    }
  }

  #lose(reason: string): void {
    this.#stop();
    this.#heldUntilMs = 0;
    this.#lost.abort(
      new TransportError('LEASE_LOST', `${this.#what} was lost: ${reason}`, {
        remedy: 'Nothing was written after the lease was lost. The step is retried.',
      }),
    );
  }

  #stop(): void {
    clearTimeout(this.#renewal);
    clearTimeout(this.#expiry);
    this.#done.abort();
  }
}
