import { randomUUID } from 'node:crypto';
import type { HttpRequest, HttpResponseInit } from '@azure/functions';
import { parseJob } from '../../operations/parse-job.js';
import type { JobInput } from '../../operations/job-schema.js';
import { type ReadText, INPUT_CHARS } from '../../messages/message-text.js';
import { repeatedNames } from '../../messages/problems.js';
import { InputError, describeError } from '../../oci/index.js';
import type { Ports } from '../../ports/ports.js';
import { openJob } from '../../operations/start-job.js';
import { errorAnswer } from './answers.js';
import { registerRoute } from './register-route.js';
import { describeRun } from './runs.js';

type JobPorts = Pick<Ports, 'store' | 'queues' | 'documents' | 'now'>;

/**
 * `POST jobs` accepts a job: 202 with its id and status URL, or 400 with all problems. Its permissions are checked when
 * it runs, as for a job from the queue. `GET jobs/{id}` returns its run. `GET runs/{id}/output` returns its output,
 * which may be too large for the row.
 */
export function registerJobs(ports: JobPorts): void {
  registerRoute('submitJob', 'POST', 'jobs', (request) => submitJob(ports, request));
  registerRoute('getJob', 'GET', 'jobs/{id}', (request) => getJob(ports, request.params.id ?? ''));
  registerRoute('getRunOutput', 'GET', 'runs/{id}/output', (request) => getOutput(ports, request.params.id ?? ''));
}

/**
 * Writes the row first, so that the id is known before the work starts, and then sends the message. A second job with
 * the same id gets the run of the first. If that run has not begun, its message is sent again, because the first
 * message may be lost.
 */
export async function submitJob(
  ports: Pick<JobPorts, 'store' | 'queues' | 'now'>,
  request: Pick<HttpRequest, 'text'>,
): Promise<HttpResponseInit> {
  let job: JobInput;
  try {
    const { value, repeated } = parseBody(await request.text());
    job = parseJob(value, { messageId: randomUUID(), repeated });
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return refuse(error);
  }
  const run = await openJob(ports, job, { kind: 'http' });
  if (run.state === 'pending') await ports.queues.send('jobs', JSON.stringify(job));
  const statusUrl = `/api/runs/${run.id}`;
  return { status: 202, headers: { location: statusUrl }, jsonBody: { id: job.id, runId: run.id, statusUrl } };
}

function parseBody(text: string): ReadText {
  const invalid = (message: string): InputError =>
    new InputError('JOB_INVALID', `The job is malformed: ${message}`, {
      details: { problems: [{ path: '', message }] },
      remedy: 'Send one job as a JSON object.',
    });
  if (text.length > INPUT_CHARS) throw invalid(`it is longer than ${INPUT_CHARS} characters`);
  try {
    return { value: JSON.parse(text) as unknown, repeated: repeatedNames(text) };
  } catch {
    throw invalid('it is not JSON');
  }
}

function refuse(error: InputError): HttpResponseInit {
  const { code, message, remedy, details } = describeError(error);
  return errorAnswer(400, code, message, { problems: details?.problems ?? [{ path: '', message }], remedy });
}

/** The run of a job, by the job's id or the run's id. */
export async function getJob(ports: Pick<JobPorts, 'store' | 'now'>, id: string): Promise<HttpResponseInit> {
  // Run ids come first, because a job's id may be any text, even the id of another run.
  const byRun = await ports.store.getRun(id);
  const runId = byRun === undefined ? await ports.store.findJob(id) : undefined;
  const run = runId === undefined ? byRun : await ports.store.getRun(runId);
  if (run === undefined || run.value.input.kind !== 'job') {
    return errorAnswer(404, 'JOB_UNKNOWN', `there is no job ${id}`, {
      remedy: 'List jobs: acr-promoter jobs list. Old jobs are removed (RUN_RETENTION_DAYS).',
    });
  }
  return { jsonBody: describeRun(run.value, await ports.store.listProgress(run.value.id), ports.now()) };
}

/** The output of a job, as JSON. */
export async function getOutput(
  ports: Pick<JobPorts, 'store' | 'documents'>,
  runId: string,
): Promise<HttpResponseInit> {
  const run = await ports.store.getRun(runId);
  if (run === undefined)
    return errorAnswer(404, 'RUN_UNKNOWN', `there is no run ${runId}`, {
      remedy: 'List jobs: acr-promoter jobs list. Old jobs are removed (RUN_RETENTION_DAYS).',
    });
  const { output } = run.value;
  if (output === undefined) return errorAnswer(404, 'OUTPUT_UNKNOWN', `run ${runId} has no output`);
  if (output.kind === 'inline') return { jsonBody: output.value };
  const body = await ports.documents.get('documents', output.name);
  if (body === undefined) return errorAnswer(404, 'OUTPUT_UNKNOWN', `the output of run ${runId} has been deleted`);
  return { headers: { 'content-type': 'application/json' }, body };
}
