import { z } from 'zod';
import { PromoterError, type Descriptor } from '../oci/index.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall } from '../ports/step.js';

/** Tries of one image's SBOM in one run that come to no end: none goes on where another has stopped. `SBOM_UNFINISHED` */
export const SBOM_TRIES = 8;

const triesSchema = z.object({ unfinished: z.number() });

/**
 * Makes an SBOM, which begins anew with each try, and counts the tries of this run that came to no end: their time was over, or who
 * did it died, or its lease was lost. Trouble on the way is none: it is waited for.
 * @param call.signal aborts when the time is over or the lease is lost
 * @param runId undefined: nothing is counted
 * @throws PromoterError `SBOM_UNFINISHED` where there were too many
 */
export async function countingTries<T>(
  { documents }: Pick<Ports, 'documents'>,
  { runId, image }: { runId?: string | undefined; image: Pick<Descriptor, 'digest'> },
  { signal, progress }: Pick<StepCall, 'signal' | 'progress'>,
  make: () => Promise<T>,
): Promise<T> {
  if (runId === undefined) return make();
  const name = `plans/${runId}/sbom-tries/${image.digest.replace(':', '-')}.json`;
  const put = (unfinished: number): Promise<void> =>
    documents.put('documents', name, Buffer.from(JSON.stringify({ unfinished })));
  const kept = await documents.get('documents', name);
  const { unfinished } = kept ? triesSchema.parse(JSON.parse(Buffer.from(kept).toString('utf8'))) : { unfinished: 0 };
  if (unfinished >= SBOM_TRIES) throw tooMany(image.digest, unfinished);
  if (unfinished > 0) progress.text(`try ${unfinished + 1} of ${SBOM_TRIES}: what came before has come to no end`);
  await put(unfinished + 1);
  try {
    return await make();
  } finally {
    // Also where it has come to its end: its signature may yet be put off, and all of this come again.
    if (!signal.aborted) await put(unfinished).catch(() => undefined);
  }
}

function tooMany(digest: string, tries: number): PromoterError {
  return new PromoterError('SBOM_UNFINISHED', `the SBOM of ${digest} was begun ${tries} times, and came to no end`, {
    remedy:
      'Its layers take longer to read than a function may work, or end it, or keep it too busy to renew its lease. Bring the app nearer to the registry, give its instances more memory, make the layers smaller, or give the rule "sbom": {"formats": []}.',
  });
}
