import type { JobInput, JobOf } from '../inbox/job-input.js';
import { InputError } from '../oci/index.js';

import type { InputOf, ResultOf, runOperationContract } from './contracts.js';
import * as evidence from './job-evidence.js';
import type { Operation, OperationCall, OperationPorts, OperationReply } from './job-operation.js';
import { keepOutput } from './job-output.js';
import { enforceJobPolicy } from './job-policy.js';
import * as reads from './job-reads.js';
import type { Ports, StepCall, StepReply } from './ports.js';

/** Operations that are one step; the other two have orchestrations of their own. */
type SingleStep = Exclude<JobInput['operation'], 'promote' | 'copy'>;

const OPERATIONS: { [O in SingleStep]?: Operation<O> } = {
  resolve: reads.resolve,
  discover: reads.discover,
  tags: reads.tags,
  repos: reads.repos,
  'manifest.fetch': reads.fetchManifest,
  'manifest.fetchConfig': reads.fetchConfigOf,
  verify: evidence.verify,
  sbom: evidence.sbom,
  sign: evidence.sign,
};

/**
 * Does what a job asks for, and keeps what came of it in the run's row. Done twice, it finds the first output.
 * @throws as `enforceJobPolicy`: the settings may have changed since the job began; as the operation
 */
export async function runOperationStep(
  ports: OperationPorts & Pick<Ports, 'rules'>,
  input: InputOf<typeof runOperationContract>,
  call: StepCall,
): Promise<StepReply<ResultOf<typeof runOperationContract>>> {
  const run = (await ports.store.getRun(input.runId))?.value;
  if (run === undefined || run.input.kind !== 'job')
    throw new InputError('RUN_UNKNOWN', `there is no run ${input.runId}`);
  const { job } = run.input;
  await enforceJobPolicy(ports, job);
  const reply = await perform({ ...call, ports, runId: input.runId, job });
  if ('later' in reply) return reply;
  await keepOutput(ports, input.runId, reply.output);
  if (reply.refusal !== undefined) throw reply.refusal;
  return { done: reply.digest === undefined ? {} : { digest: reply.digest } };
}

async function perform(call: OperationCall): Promise<OperationReply> {
  const { job } = call;
  const operation = isSingleStep(job) ? OPERATIONS[job.operation] : undefined;
  if (operation === undefined) {
    throw new InputError('OPERATION_UNAVAILABLE', `a job cannot ${job.operation} yet`, {
      remedy: 'Use the command line for it.',
    });
  }
  // Each operation gets the job of its own name: it was chosen by it.
  return (operation as Operation<JobInput['operation']>)(call);
}

function isSingleStep(job: JobInput): job is JobOf<SingleStep> {
  return job.operation in OPERATIONS;
}
