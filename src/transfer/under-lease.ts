import type { HeldLease } from '../oci/index.js';
import type { Ports } from '../ports/ports.js';
import type { StepReply } from '../ports/step.js';

/** Pause before a lease is asked for again, in milliseconds. */
const LEASE_PAUSE_MS = 2_000;

/** The lease of a subject: whatever is attached to it is made under this one. */
export function subjectLease(registry: string, repository: string, digest: string): string {
  return `subject ${registry}/${repository}@${digest}`;
}

export function destinationLease(destination: string): string {
  return `destination ${destination}`;
}

/** Works under a lease, and asks to be called again where another holds it: no activity sits and waits. */
export async function underLease<T>(
  ports: Pick<Ports, 'lease'>,
  name: string,
  signal: AbortSignal,
  work: (signal: AbortSignal, lease: HeldLease) => Promise<T>,
): Promise<StepReply<T>> {
  const lease = await ports.lease.acquire(name, { signal });
  if (lease === undefined) return { later: LEASE_PAUSE_MS };
  try {
    return { done: await work(AbortSignal.any([signal, lease.signal]), lease) };
  } finally {
    await lease.release();
  }
}
