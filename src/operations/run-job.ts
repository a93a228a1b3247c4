import { type InputOf, type ResultOf } from '../rows/step-contract.js';
import { StepFailed, call, now, type Order } from '../rows/order.js';
import { failedResult } from '../promotions/promote.js';
import {
  awaitPromotionsContract,
  beginJobContract,
  closeJobContract,
  incrementPromotionsContract,
  runOperationContract,
  tagCopyContract,
} from './contracts.js';
import { copyContract, verifyArrivalContract } from '../transfer/contracts.js';

type Result = InputOf<typeof closeJobContract>['result'];
type Job = ResultOf<typeof beginJobContract>;

/** How long closing a job is retried, in milliseconds. */
const CLOSE_MS = 24 * 3_600_000;

/**
 * Runs one job. If a step fails, that is its outcome; the run always ends.
 * @returns null if there is nothing to do
 */
export function* runJob({ runId }: { runId: string }): Order<Result | null> {
  let result: Result;
  try {
    const job = yield* call(beginJobContract, { runId });
    if (job.operation === 'none') return null;
    result = yield* work(runId, job);
  } catch (error) {
    if (!(error instanceof StepFailed)) throw error;
    result = failedResult(error);
  }
  yield* call(closeJobContract, { runId, result }, (yield* now()) + CLOSE_MS);
  return result;
}

/** Outcomes, the worst first. A job for several promotions ends with the worst one. */
const WORST = [
  'failed',
  'refused',
  'cancelled',
  'superseded',
  'interrupted',
  'observed',
  'promoted',
  'unchanged',
  'completed',
];

function* work(runId: string, job: Exclude<Job, { operation: 'none' }>): Order<Result> {
  if (job.operation === 'promote') {
    const promotions = yield* call(incrementPromotionsContract, { runId, source: job.source });
    const results = yield* call(awaitPromotionsContract, { runId, promotions });
    const [worst] = results.toSorted((a, b) => WORST.indexOf(a.outcome) - WORST.indexOf(b.outcome));
    return worst ?? { outcome: 'completed' };
  }
  if (job.operation === 'run') {
    const { digest } = yield* call(runOperationContract, { runId, label: job.name });
    return { outcome: 'completed', ...(digest !== undefined && { digest }) };
  }
  const copied = yield* call(copyContract, { runId });
  // A job's copy has no source tag to follow, so nothing supersedes it.
  if (copied.state === 'superseded') return { outcome: 'superseded' };
  yield* call(verifyArrivalContract, { runId });
  yield* call(tagCopyContract, { runId, root: copied.root });
  return { outcome: 'completed', digest: copied.root.digest };
}
