import * as attach from './attach.js';
import * as blobDelete from './blob-delete.js';
import * as blobFetch from './blob-fetch.js';
import * as blobPush from './blob-push.js';
import * as discover from './discover.js';
import * as manifestDelete from './manifest-delete.js';
import * as manifestFetchConfig from './manifest-fetch-config.js';
import * as manifestFetch from './manifest-fetch.js';
import * as manifestIndexCreate from './manifest-index-create.js';
import * as manifestIndexUpdate from './manifest-index-update.js';
import * as manifestPush from './manifest-push.js';
import * as pull from './pull.js';
import * as push from './push.js';
import * as repos from './repos.js';
import * as resolve from './resolve.js';
import * as sbom from './sbom.js';
import * as sign from './sign.js';
import * as tag from './tag.js';
import * as tags from './tags.js';
import * as verify from './verify.js';
import { InputError, parseReference } from '../oci/index.js';
import type { InputOf, ResultOf } from '../rows/step-contract.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall, StepReply } from '../ports/step.js';
import { Busy } from '../transfer/long-step.js';
import { subjectLease, underLease } from '../transfer/registry-access.js';
import { readAcceptedJob, type JobInput, type JobOf } from './job-schema.js';
import type { runOperationContract } from './contracts.js';
import { portsOfJob } from './credential.js';
import { deleteOnce } from './delete-once.js';
import { keepInTarget, openFile, packingFiles, pullToTarget, readFileOf } from './files.js';
import { keepOutput } from './keep-output.js';
import type { Opened, OperationResult, Progress } from './operation.js';
import { enforceJobPolicy, isInScope } from './policy.js';

/** Operations with one step. The other two have orders of their own. */
type SingleStep = Exclude<JobInput['operation'], 'promote' | 'copy'>;

/** The ports that the operations of jobs use. */
export type OperationPorts = Pick<
  Ports,
  | 'registries'
  | 'listing'
  | 'store'
  | 'documents'
  | 'files'
  | 'lease'
  | 'signer'
  | 'sbom'
  | 'jobPolicy'
  | 'callBounds'
  | 'now'
>;

/** The operation of a job, with what the app opens for it. */
interface OperationCall<J extends JobInput = JobInput> extends StepCall {
  ports: OperationPorts;
  runId: string;
  job: J;
}

type Reply = OperationResult | { retryAfterMs: number };
type Operation<O extends SingleStep> = (call: OperationCall<JobOf<O>>) => Promise<Reply>;

const OPERATIONS: { [O in SingleStep]: Operation<O> } = {
  resolve: (call) => resolve.run(opened(call), call.job, undefined, seen(call)),
  discover: (call) => discover.run(opened(call), call.job, undefined, seen(call)),
  tags: (call) => tags.run(opened(call), call.job, undefined, seen(call)),
  repos: (call) => {
    const registry = call.ports.listing.registry(call.job.registry);
    const isVisible = (name: string): boolean => isInScope(call.ports, 'repos', name);
    return repos.run({ registry, isVisible }, call.job, undefined, seen(call));
  },
  'manifest.fetch': (call) => manifestFetch.run(opened(call), call.job, undefined, seen(call)),
  'manifest.fetchConfig': (call) => manifestFetchConfig.run(opened(call), call.job, undefined, seen(call)),
  verify: (call) => verify.run({ ...opened(call), runId: call.runId }, call.job, call.ports, call),
  sbom: (call) => sbom.run(openedImage(call), call.job, call.ports, call),
  sign: (call) => sign.run(openedImage(call), call.job, call.ports, call),
  tag: (call) => tag.run(opened(call), call.job, undefined, seen(call)),
  push: async (call) => push.run(opened(call), call.job, await packingFiles(call.ports.files, call.job), seen(call)),
  attach: async (call) => {
    const files = await packingFiles(call.ports.files, call.job);
    return attach.run({ ...opened(call), whileHeld: underSubjectLease(call) }, call.job, files, seen(call));
  },
  pull: (call) =>
    pull.run(opened(call), call.job, pullToTarget(call.ports.files, call), {
      ...seen(call),
      event: (progress) => {
        if (progress.state === 'downloading') call.progress.text(`downloading ${progress.descriptor.digest}`);
      },
    }),
  'manifest.push': async (call) =>
    manifestPush.run(opened(call), call.job, await readFileOf(call.ports.files, call.job.file), seen(call)),
  'manifest.delete': (call) =>
    deleteOnce(call, opened(call), (target, how) => manifestDelete.run(target, call.job, how, seen(call))),
  'manifest.index.create': (call) => manifestIndexCreate.run(opened(call), call.job, {}, seen(call)),
  'manifest.index.update': (call) => manifestIndexUpdate.run(opened(call), call.job, {}, seen(call)),
  'blob.fetch': (call) => blobFetch.run(opened(call), call.job, keepInTarget(call.ports.files, call), seen(call)),
  'blob.push': async (call) =>
    blobPush.run(opened(call), call.job, await openFile(call.ports.files, call.job.file), seen(call)),
  'blob.delete': (call) =>
    deleteOnce(call, opened(call), (target, how) => blobDelete.run(target, call.job, how, seen(call))),
};

/** The repository that a job names, with the app's credentials. */
function opened({ ports, job: { reference } }: { ports: OperationPorts; job: { reference: string } }): Opened {
  const { registry, repository, tag: named, digest } = parseReference(reference);
  return { repository: ports.listing.repository(registry, repository), tag: named, digest };
}

function openedImage(call: OperationCall<JobOf<'sbom' | 'sign'>>): sbom.OpenedImage {
  const { registry, repository } = parseReference(call.job.reference);
  return { ...opened(call), name: { registry, repository }, runId: call.runId };
}

function seen({ signal, progress }: StepCall): Pick<Progress, 'signal'> & { text: (line: string) => void } {
  return { signal, text: (line) => progress.text(line) };
}

/** Runs work under the lease of a subject. */
function underSubjectLease({
  ports,
  job,
  signal,
}: OperationCall<JobOf<'attach'>>): NonNullable<attach.OpenedSubject['whileHeld']> {
  const { registry, repository } = parseReference(job.reference);
  return async (subject, work) => {
    const reply = await underLease(ports, subjectLease(registry, repository, subject.digest), signal, work);
    if ('done' in reply) return reply.done;
    throw new Busy(reply.retryAfterMs);
  };
}

/**
 * Runs the operation of a job, and stores its output in the run's row. Can be repeated: the second call finds the work
 * done.
 * @throws as `enforceJobPolicy`, because the settings may have changed since the job began; as the operation
 */
export async function runOperationStep(
  ports: OperationPorts & Pick<Ports, 'rules' | 'jobRegistries'>,
  input: InputOf<typeof runOperationContract>,
  call: StepCall,
): Promise<StepReply<ResultOf<typeof runOperationContract>>> {
  const run = (await ports.store.getRun(input.runId))?.value;
  if (run === undefined || run.input.kind !== 'job')
    throw new InputError('RUN_UNKNOWN', `there is no job with run ${input.runId}`, {
      remedy: 'Submit the job again: its row is gone (RUN_RETENTION_DAYS).',
    });
  const job = readAcceptedJob(run.input.job);
  await enforceJobPolicy(ports, job);
  if (!isSingleStep(job)) throw new InputError('JOB_INVALID', `${job.operation} needs more than one step`);
  const reply = await perform(job.operation, { ...call, ports: portsOfJob(ports, job), runId: input.runId, job });
  if ('retryAfterMs' in reply) return reply;
  await keepOutput(ports, input.runId, reply.output);
  if (reply.refusal !== undefined) throw reply.refusal;
  return { done: reply.digest === undefined ? {} : { digest: reply.digest } };
}

/** Runs the operation that the job names. */
async function perform<O extends SingleStep>(operation: O, call: OperationCall<JobOf<O>>): Promise<Reply> {
  try {
    return await OPERATIONS[operation](call);
  } catch (error) {
    if (error instanceof Busy) return { retryAfterMs: error.retryAfterMs };
    throw error;
  }
}

function isSingleStep(job: JobInput): job is JobOf<SingleStep> {
  return job.operation in OPERATIONS;
}
