import { readAcceptedJob } from './accepted-job.js';
import type { JobInput, JobOf } from './job-schema.js';
import { InputError } from '../oci/index.js';

import type { InputOf, ResultOf } from '../rows/step-contract.js';
import type { runOperationContract } from './contracts.js';
import { portsOfJob } from './credential.js';
import * as deletes from './deletes.js';
import * as evidence from './evidence.js';
import type { Operation, OperationCall, OperationPorts, OperationReply } from './operation.js';
import { keepOutput } from './keep-output.js';
import { enforceJobPolicy } from './policy.js';
import * as pulls from './pulls.js';
import * as reads from './reads.js';
import * as writes from './writes.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall, StepReply } from '../ports/step.js';

/** Operations that are one step; the other two have orchestrations of their own. */
type SingleStep = Exclude<JobInput['operation'], 'promote' | 'copy'>;

const OPERATIONS: { [O in SingleStep]: Operation<O> } = {
  resolve: reads.resolve,
  discover: reads.discover,
  tags: reads.tags,
  repos: reads.repos,
  'manifest.fetch': reads.fetchManifest,
  'manifest.fetchConfig': reads.fetchConfigOf,
  verify: evidence.verify,
  sbom: evidence.sbom,
  sign: evidence.sign,
  tag: writes.tag,
  push: writes.push,
  attach: writes.attach,
  'manifest.push': writes.pushManifest,
  'manifest.index.create': writes.makeIndex,
  'manifest.index.update': writes.updateIndex,
  'blob.push': writes.pushBlob,
  pull: pulls.pull,
  'blob.fetch': pulls.fetchBlob,
  'manifest.delete': deletes.deleteManifest,
  'blob.delete': deletes.deleteBlob,
};

/**
 * Does what a job asks for, and keeps what came of it in the run's row. Done twice, it finds the first output.
 * @throws as `enforceJobPolicy`: the settings may have changed since the job began; as the operation
 */
export async function runOperationStep(
  ports: OperationPorts & Pick<Ports, 'rules' | 'jobRegistries'>,
  input: InputOf<typeof runOperationContract>,
  call: StepCall,
): Promise<StepReply<ResultOf<typeof runOperationContract>>> {
  const run = (await ports.store.getRun(input.runId))?.value;
  if (run === undefined || run.input.kind !== 'job')
    throw new InputError('RUN_UNKNOWN', `there is no run ${input.runId}`);
  const job = readAcceptedJob(run.input.job);
  await enforceJobPolicy(ports, job);
  if (!isSingleStep(job)) throw new InputError('JOB_INVALID', `${job.operation} is more than one step`);
  const reply = await perform(job.operation, { ...call, ports: portsOfJob(ports, job), runId: input.runId, job });
  if ('retryAfterMs' in reply) return reply;
  await keepOutput(ports, input.runId, reply.output);
  if (reply.refusal !== undefined) throw reply.refusal;
  return { done: reply.digest === undefined ? {} : { digest: reply.digest } };
}

/** Each operation gets the job of its own name: it is chosen by it. */
async function perform<O extends SingleStep>(operation: O, call: OperationCall<JobOf<O>>): Promise<OperationReply> {
  return OPERATIONS[operation](call);
}

function isSingleStep(job: JobInput): job is JobOf<SingleStep> {
  return job.operation in OPERATIONS;
}
