import { InputError, isRecord } from '../oci/index.js';
import { JOB_OPERATIONS, jobSchema, type JobInput } from './job-input.js';
import { LIMITS } from './limits.js';
import { listProblems, problemsOf, type Problem } from './problems.js';
import { openMessage, type Retry } from './retry.js';
import { findSecrets } from './secrets.js';
import { shapeProblem } from './shape.js';

/**
 * Reads a job.
 * @param from the queue's id of the message that brought it: its id where it has none of its own
 * @throws InputError `JOB_HOLDS_SECRET`, before all else and without the secret; `OPERATION_UNKNOWN`; `JOB_INVALID`, with everything
 * that is wrong in `details.problems`; `JOB_TOO_LARGE` for more than can be put back or sent again
 */
export function parseJob(value: unknown, from: { messageId: string }): JobInput {
  const message = shapeProblem(value);
  if (message !== undefined) throw invalidJob([{ path: '', message }]);
  const secrets = findSecrets(value);
  if (secrets.length > 0) {
    throw new InputError('JOB_HOLDS_SECRET', `The job holds a secret at ${secrets.slice(0, 5).join(', ')}`, {
      details: { problems: secrets.map((path) => ({ path, message: 'a secret' })) },
      remedy: 'Change that secret, since a queue has seen it; name a credential of the settings with "credential".',
    });
  }
  const operation = isRecord(value) ? value.operation : undefined;
  if (typeof operation !== 'string') {
    throw invalidJob([{ path: 'operation', message: 'a job is a JSON object with an operation' }]);
  }
  if (!JOB_OPERATIONS.some((known) => known === operation)) throw unknownOperation(operation);
  const result = jobSchema.safeParse(value);
  if (!result.success) throw invalidJob(problemsOf(result.error));
  const job = { ...result.data, id: result.data.id ?? from.messageId };
  const sizeBytes = Buffer.byteLength(JSON.stringify(job), 'utf8');
  if (sizeBytes > LIMITS.jobBytes) {
    throw new InputError('JOB_TOO_LARGE', `The job has ${sizeBytes} bytes; the most is ${LIMITS.jobBytes}`, {
      remedy: 'Put its files into the container "source", and name them.',
    });
  }
  return job;
}

/**
 * The same, out of a message of the queue `jobs`: text or parsed, as it came or put back by us.
 * @throws InputError `MESSAGE_INVALID`, and what {@link parseJob} throws
 */
export function parseJobMessage(value: unknown, from: { messageId: string }): { job: JobInput; retry?: Retry } {
  const { message, retry } = openMessage(value);
  const job = parseJob(message, { messageId: retry?.firstMessageId ?? from.messageId });
  return { job, ...(retry !== undefined && { retry }) };
}

function unknownOperation(operation: string): InputError {
  return new InputError('OPERATION_UNKNOWN', `There is no operation ${JSON.stringify(operation.slice(0, 100))}`, {
    remedy: `The operations of a job are ${JOB_OPERATIONS.join(', ')}.`,
  });
}

function invalidJob(problems: readonly Problem[]): InputError {
  return new InputError('JOB_INVALID', `The job is malformed: ${listProblems(problems)}`, {
    details: { problems: problems.slice(0, LIMITS.problems) },
    remedy: 'Set right what is listed, and send it again.',
  });
}
