import { CopyError, PromoterError, RegistryError, formatReference } from '../oci/index.js';
import type { Ports } from '../ports/ports.js';
import type { Promotions } from '../ports/promotions.js';
import type { Runs } from '../ports/runs.js';
import type { StorePort } from '../ports/store.js';
import { lateTag } from '../rows/news.js';
import { MissingAtSource, missingTag } from '../transfer/registry-access.js';
import { resolveTag } from '../transfer/tag.js';

/** The time limit for reading the tag of a run whose source is missing, in milliseconds. */
const LOOK_MS = 60_000;

type SourcePorts = Pick<Ports, 'registries' | 'now'> & StorePort<Runs & Promotions>;

/** The error to report: `SOURCE_GONE` or `SUPERSEDED` if a promotion's source is missing, otherwise the same error. */
export async function asSourceError(ports: SourcePorts, runId: string | undefined, error: unknown): Promise<unknown> {
  try {
    return await readSource(ports, runId, error, AbortSignal.timeout(LOOK_MS));
  } catch (other) {
    return other;
  }
}

function isMissingAtSource(error: unknown): error is PromoterError {
  if (error instanceof MissingAtSource) return true;
  if (!(error instanceof CopyError) || error.details.side !== 'source') return false;
  return error.cause instanceof RegistryError && error.cause.notFound;
}

/**
 * Replaces the error of a promotion's step in two cases. If its source is missing, in whole or in part, the error is
 * `SOURCE_GONE`, which is retried because a replica may be stale. If the tag has another digest now, it is
 * `SUPERSEDED`. Other errors, and errors of jobs, are returned unchanged.
 */
async function readSource(
  ports: SourcePorts,
  runId: string | undefined,
  error: unknown,
  signal: AbortSignal,
): Promise<unknown> {
  if (runId === undefined || !isMissingAtSource(error)) return error;
  if (error instanceof MissingAtSource && error.isReported) return error;
  const run = (await ports.store.getRun(runId))?.value;
  if (run?.input.kind !== 'promotion') return error instanceof MissingAtSource ? (error.cause ?? error) : error;
  const { source } = run.input;
  const current = await resolveTag(ports, source, signal);
  const row = (await ports.store.getPromotion(run.input.promotionId))?.value;
  const isLate = current !== undefined && row !== undefined && lateTag(row, current.digest, ports.now()) !== undefined;
  if (current !== undefined && run.digest !== undefined && current.digest !== run.digest && !isLate) {
    return new PromoterError('SUPERSEDED', `${formatReference(source)} has the digest ${current.digest} now`, {
      remedy: 'No action needed: the next run promotes the digest that the tag has now.',
    });
  }
  return current === undefined ? missingTag(source) : new MissingAtSource(error.message, error);
}
