import type { OrchestrationContext, Task } from 'durable-functions';
import { z } from 'zod';
import { JOB_MS } from '../../rows/job-instance.js';
import {
  awaitPromotionsContract,
  beginJobContract,
  closeJobContract,
  raisePromotionsContract,
  runOperationContract,
  tagCopyContract,
} from '../../operations/contracts.js';
import { planCopyContract, verifyArrivalContract } from '../../transfer/contracts.js';
import type { InputOf, ResultOf } from '../../rows/step-contract.js';
import { copyPlanned } from './copy-graph.js';
import { failedResult } from './failed-result.js';
import { StepFailed, step, waitingUntil, type StepContext } from './step.js';
import { walk } from './walk-on.js';

const inputSchema = z.object({ runId: z.string() });

type Result = InputOf<typeof closeJobContract>['result'];
type Job = ResultOf<typeof beginJobContract>;

/** One job. A failure is an outcome: the run is ended whatever happens. */
export function* runJob(context: OrchestrationContext): Generator<Task, Result | null, unknown> {
  const { runId } = inputSchema.parse(context.df.getInput());
  const waiting = waitingUntil(context, context.df.currentUtcDateTime.getTime() + JOB_MS);
  let result: Result;
  try {
    const job = yield* step(waiting, beginJobContract, { runId });
    if (job.operation === 'none') return null;
    result = yield* work(waiting, runId, job);
  } catch (error) {
    if (!(error instanceof StepFailed)) throw error;
    result = failedResult(error);
  }
  yield* step(context, closeJobContract, { runId, result });
  return result;
}

/** The worst outcome first: a job for several promotions ends as its worst. */
const WORST = ['failed', 'refused', 'cancelled', 'superseded', 'observed', 'promoted', 'unchanged', 'completed'];

function* work(
  context: StepContext,
  runId: string,
  job: Exclude<Job, { operation: 'none' }>,
): Generator<Task, Result, unknown> {
  if (job.operation === 'promote') {
    const promotions = yield* step(context, raisePromotionsContract, { runId, source: job.source });
    const results = yield* step(context, awaitPromotionsContract, { runId, promotions });
    const [worst] = results.toSorted((a, b) => WORST.indexOf(a.outcome) - WORST.indexOf(b.outcome));
    return worst ?? { outcome: 'completed' };
  }
  if (job.operation === 'run') {
    const { digest } = yield* step(context, runOperationContract, { runId, label: job.name });
    return { outcome: 'completed', ...(digest !== undefined && { digest }) };
  }
  const { registry, repository } = job.destination;
  const credential = job.credential === undefined ? {} : { credential: job.credential };
  const plan = yield* walk(context, planCopyContract, {
    runId,
    source: job.source,
    root: job.root,
    recursive: job.recursive,
    excludeArtifactTypes: job.excludeArtifactTypes ?? [],
    ...(job.platform !== undefined && { platform: job.platform }),
    ...(job.digest !== undefined && { digest: job.digest }),
    destination: { registry, repository },
    ...credential,
  });
  // Without a tag to stand by nothing supersedes a job's copy.
  if (plan.state === 'superseded') return { outcome: 'superseded' };
  const { source } = job;
  const copy = { runId, plan: plan.plan, source, destination: { registry, repository }, receipt: true, ...credential };
  yield* copyPlanned(context, plan, copy);
  yield* walk(context, verifyArrivalContract, copy);
  const copied = { source, plan: plan.plan, ...(plan.parts && { parts: plan.parts }) };
  const { destination, moreTags } = job;
  const tag = { runId, root: plan.root, destination, ...(moreTags && { moreTags }), copied, ...credential };
  yield* step(context, tagCopyContract, tag);
  return { outcome: 'completed', digest: plan.root.digest };
}
