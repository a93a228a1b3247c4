import type { Promotions } from '../ports/promotions.js';
import type { Runs } from '../ports/runs.js';
import { lateTag } from '../rows/news.js';
import { CopyError, PromoterError, RegistryError, formatReference } from '../oci/index.js';
import { resolveTag } from './resolve-tag.js';
import type { Ports } from '../ports/ports.js';
import type { StorePort } from '../ports/store.js';

/** Something was not found at the source: it may be gone, or only late. */
export class MissingAtSource extends PromoterError {
  /** It was deleted, and the registry said so: nobody waits for it. */
  readonly isReported: boolean;

  constructor(message: string, cause?: unknown, isReported = false) {
    super('SOURCE_GONE', message, {
      cause,
      remedy:
        'If it was deleted on purpose, do nothing; the promoted copy stays. Otherwise push it again; that starts the next run.',
    });
    this.isReported = isReported;
  }
}

/** Reads at the source. @throws MissingAtSource where it isn't there */
export async function atSource<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof RegistryError && error.notFound)) throw error;
    throw new MissingAtSource(error.message, error);
  }
}

/** The tag that a run is about is not there. */
export function missingTag(source: { registry: string; repository: string; tag: string }): MissingAtSource {
  return new MissingAtSource(`${formatReference(source)} is not there`);
}

/** The same, and its deletion was reported. */
export function deletedTag(source: { registry: string; repository: string; tag: string }): MissingAtSource {
  return new MissingAtSource(`${formatReference(source)} was deleted`, undefined, true);
}

function isMissingAtSource(error: unknown): error is PromoterError {
  if (error instanceof MissingAtSource) return true;
  if (!(error instanceof CopyError) || error.details.side !== 'source') return false;
  return error.cause instanceof RegistryError && error.cause.notFound;
}

/**
 * What a promotion's step makes of an error: where its source is not there, in whole or in part, `SOURCE_GONE`, which is waited
 * for, since a replica may be late; where the tag stands on another digest by now, `SUPERSEDED`. Any other error, and one of a
 * job, stays what it was.
 */
export async function asSourceGone(
  ports: Pick<Ports, 'registries' | 'now'> & StorePort<Runs & Promotions>,
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
    return new PromoterError('SUPERSEDED', `${formatReference(source)} is ${current.digest} by now`, {
      remedy: 'Nothing: the next run goes on with what the tag means now.',
    });
  }
  return current === undefined ? missingTag(source) : new MissingAtSource(error.message, error);
}
