import type { z } from 'zod';
import { InputError, isRecord, quoted } from '../oci/index.js';
import { RUN_ID } from '../messages/id-forms.js';
import { plainMessage } from '../messages/zod-messages.js';
import { JOB_OPERATIONS, jobSchema, type JobInput } from './job-schema.js';
import { listProblems, problemsOf, type Problem, MOST_PROBLEMS } from '../messages/problems.js';
import { openMessage, type Retry } from '../messages/retry.js';
import { findSecrets } from '../messages/secrets.js';
import { shapeProblem } from '../messages/shape.js';

/** The most UTF-8 bytes of a job. It leaves room in a message for the app's wrapper. `JOB_TOO_LARGE` */
const JOB_BYTES = 47 * 1024;

/**
 * Parses a job.
 * @param from.messageId the queue's id of its message, which becomes its id if it has none
 * @param from.repeated names that its text has twice, so that a value was lost ({@link repeatedNames})
 * @throws InputError `JOB_HOLDS_SECRET` (without the secret; it comes before all other errors), `OPERATION_UNKNOWN` or
 * `JOB_INVALID`, each with all problems in `details.problems`; `JOB_TOO_LARGE`
 */
export function parseJob(value: unknown, from: { messageId: string; repeated?: readonly Problem[] }): JobInput {
  const { repeated = [] } = from;
  const message = shapeProblem(value);
  if (message !== undefined) throw invalidJob([...repeated, { path: '', message }]);
  const secrets = findSecrets(value);
  if (secrets.paths.length > 0) throw holdsSecret(secrets.paths, secrets.rest, repeated);
  const result = readJob(value);
  if (repeated.length > 0) throw invalidJob([...repeated, ...(result.success ? [] : result.problems)]);
  if (!result.success) throw result.error;
  const job = { ...result.data, id: result.data.id ?? from.messageId };
  if (RUN_ID.test(job.id)) throw invalidJob([{ path: 'id', message: 'it has the form of a run’s id: use another id' }]);
  const sizeBytes = Buffer.byteLength(JSON.stringify(job), 'utf8');
  if (sizeBytes > JOB_BYTES) {
    throw new InputError('JOB_TOO_LARGE', `The job has ${sizeBytes} bytes; the maximum is ${JOB_BYTES}`, {
      remedy: 'Upload its files to the container "source", and name them in the job.',
    });
  }
  return job;
}

type Read =
  { success: true; data: z.output<typeof jobSchema> } | { success: false; error: InputError; problems: Problem[] };

function readJob(value: unknown): Read {
  const operation = isRecord(value) ? value.operation : undefined;
  if (typeof operation !== 'string') {
    const problems = [{ path: 'operation', message: 'a job is a JSON object with the field operation' }];
    return { success: false, error: invalidJob(problems), problems };
  }
  if (!JOB_OPERATIONS.some((known) => known === operation)) {
    const error = unknownOperation(operation);
    return { success: false, error, problems: [{ path: 'operation', message: error.message }] };
  }
  const result = jobSchema.safeParse(value, { error: plainMessage });
  if (result.success) return result;
  const problems = problemsOf(result.error);
  return { success: false, error: invalidJob(problems), problems };
}

/**
 * The error for a job with a secret. It lists all other problems, too.
 * @param rest the job without its secrets. A problem in the place of a secret is left out, because it would only report
 * the gap.
 */
function holdsSecret(paths: readonly string[], rest: unknown, repeated: readonly Problem[]): InputError {
  const read = readJob(rest);
  const wrong = read.success ? [] : read.problems.filter(({ path }) => !paths.includes(path));
  const others = [...repeated, ...wrong];
  const found = `The job holds a secret at ${paths.slice(0, 5).join(', ')}`;
  return new InputError('JOB_HOLDS_SECRET', others.length === 0 ? found : `${found}; also: ${listProblems(others)}`, {
    details: {
      problems: [...paths.map((path) => ({ path, message: 'a secret' })), ...others].slice(0, MOST_PROBLEMS),
    },
    remedy:
      'Replace that secret, since a queue has stored it. Use "credential" with a name of JOB_CREDENTIALS. Upload a file that only looks like a secret to the container "source".',
  });
}

/**
 * Parses a job from a message of the queue `jobs`. The message may be text or parsed, new or put back for a retry.
 * @throws InputError `MESSAGE_INVALID`; as {@link parseJob}
 */
export function parseJobMessage(
  value: unknown,
  from: { messageId: string },
): { job: JobInput; retry: Retry | undefined } {
  const { message, repeated, retry } = openMessage(value);
  const job = parseJob(message, { messageId: retry?.firstMessageId ?? from.messageId, repeated });
  return { job, retry };
}

function unknownOperation(operation: string): InputError {
  return new InputError('OPERATION_UNKNOWN', `There is no operation ${quoted(operation)}`, {
    remedy: `The operations of a job are ${JOB_OPERATIONS.join(', ')}.`,
  });
}

function invalidJob(problems: readonly Problem[]): InputError {
  return new InputError('JOB_INVALID', `The job is malformed: ${listProblems(problems)}`, {
    details: { problems: problems.slice(0, MOST_PROBLEMS) },
    remedy: 'Correct the listed fields, and send the job again.',
  });
}
