/** Held until released or lost. */
export interface HeldLease {
  /** Aborted when the lease could not be renewed: stop writing. */
  readonly signal: AbortSignal;
  /** Epoch milliseconds until which the lease is certain to be held, renewed in the background. */
  readonly heldUntilMs: number;
  release(): Promise<void>;
}

/**
 * Guards a place where writers meet: a referrers index, a subject, a destination tag. A blob lease in Azure, a lock file on
 * the command line. It does not fence the registry: a paused holder may wake up late, so what is written is read back.
 */
export interface Lease {
  /** @param name any string; @param options.waitMs how long to wait for another holder, 0 (the default) for not at all. @returns undefined where another holds it. */
  acquire(name: string, options?: { waitMs?: number; signal?: AbortSignal }): Promise<HeldLease | undefined>;
}
