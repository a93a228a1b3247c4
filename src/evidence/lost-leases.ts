import { z } from 'zod';
import { PromoterError, type HeldLease } from '../oci/index.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall } from '../ports/step.js';

/** Tries of one signature in one run that lost their lease. `SIGNATURE_UNFINISHED` */
export const MOST_LOST_LEASES = 8;

const lossesSchema = z.object({ lost: z.number() });

/**
 * Signs under a lease, and counts the tries of this run that lost it: a lease is lost when its process does nothing for a while, and
 * that may be because of what it signs. One try is enough for a signature, so each that succeeds ends the count.
 * @param runId undefined: nothing is counted
 * @throws PromoterError `SIGNATURE_UNFINISHED` if there were too many
 */
export async function countingLosses<T>(
  { documents }: Pick<Ports, 'documents'>,
  { runId, digest }: { runId?: string | undefined; digest: string },
  { waitedMs = 0 }: Pick<StepCall, 'waitedMs'>,
  lease: HeldLease,
  sign: () => Promise<T>,
): Promise<T> {
  if (runId === undefined) return sign();
  const name = `plans/${runId}/lost-leases/${digest.replace(':', '-')}.json`;
  // Only who was called again may have lost one before.
  const kept = waitedMs > 0 ? await documents.get('documents', name) : undefined;
  const { lost } = kept ? lossesSchema.parse(JSON.parse(Buffer.from(kept).toString('utf8'))) : { lost: 0 };
  if (lost >= MOST_LOST_LEASES) {
    throw new PromoterError('SIGNATURE_UNFINISHED', `the signature of ${digest} lost its lease ${lost} times`, {
      remedy:
        'The process that signs did nothing for most of a minute, each time. See what else it works on (its log has the times), give its instances more CPU or memory, and ask for the promotion again.',
    });
  }
  try {
    return await sign();
  } catch (error) {
    const count = Buffer.from(JSON.stringify({ lost: lost + 1 }));
    if (lease.signal.aborted) await documents.put('documents', name, count).catch(() => undefined);
    throw error;
  }
}
