/** A lease that is held until it is released or lost. */
export interface HeldLease {
  /** Aborted when the lease could not be renewed. The holder must then stop writing. */
  readonly signal: AbortSignal;
  /** Epoch milliseconds until which the lease is certainly held. It is renewed in the background. */
  readonly heldUntilMs: number;
  release(): Promise<void>;
}

/**
 * Guards a place that several writers change: a referrers index, a subject or a destination tag. In Azure it is a blob
 * lease, on the command line a lock file. It cannot stop a paused holder from writing late, so a holder reads back what
 * it wrote.
 */
export interface Lease {
  /**
   * @param name any string
   * @param options.waitMs how long to wait for another holder, in milliseconds; 0 (the default) does not wait
   * @returns undefined if another holder has it
   */
  acquire(name: string, options?: { waitMs?: number; signal?: AbortSignal }): Promise<HeldLease | undefined>;
}
