import { PromoterError, parseReference, type Reference } from '../oci/index.js';
import type { AcceptedJob, RunRow, RunSummary } from './run-row.js';

/** A run as a list has it. */
export function summaryOfRun(row: RunRow): RunSummary {
  const { id, state, openedAt, finishedAt, startedAgainAt, eventSentAt, trigger, result } = row;
  const about = row.input.kind === 'job' ? aboutJob(row.input.job) : aboutPromotion(row.input);
  const digest = row.digest ?? result?.digest ?? about.digest;
  return {
    id,
    state,
    openedAt,
    ...(finishedAt !== undefined && { finishedAt }),
    ...(startedAgainAt !== undefined && { startedAgainAt }),
    ...(eventSentAt !== undefined && { eventSentAt }),
    ...(trigger !== undefined && { trigger }),
    ...about,
    ...(digest !== undefined && { digest }),
    ...(result !== undefined && { result }),
  };
}

type About = Pick<
  RunSummary,
  'kind' | 'promotionId' | 'rule' | 'jobId' | 'operation' | 'source' | 'destination' | 'digest'
>;

function aboutPromotion(input: RunRow['input'] & { kind: 'promotion' }): About {
  const { promotionId, rule, source, destination } = input;
  return { kind: 'promotion', promotionId, rule: rule.name, source, destination };
}

function aboutJob(job: AcceptedJob): About {
  const { source, reference, destination } = job;
  const { registry, repository, tag, digest } = parsedOrNothing(source ?? reference) ?? {};
  return {
    kind: 'job',
    jobId: job.id,
    operation: job.operation,
    ...(registry !== undefined &&
      repository !== undefined && { source: { registry, repository, ...(tag !== undefined && { tag }) } }),
    ...(typeof destination === 'string' && { destination }),
    ...(digest !== undefined && { digest }),
  };
}

/** A job that an older version took may be written otherwise: it is about no repository then. */
function parsedOrNothing(reference: unknown): Reference | undefined {
  if (typeof reference !== 'string') return undefined;
  try {
    return parseReference(reference);
  } catch (error) {
    if (!(error instanceof PromoterError)) throw error;
    return undefined;
  }
}
