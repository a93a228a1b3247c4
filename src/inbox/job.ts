import { z } from 'zod';
import { describeError, InputError, isRecord, parseReference, type Reference } from '../oci/index.js';
import { LIMITS } from './limits.js';
import { listProblems, problemsOf, type Problem } from './problems.js';
import { openMessage, type Retry } from './retry.js';
import { findSecrets } from './secrets.js';

/** What a job asks for. */
export type JobInput =
  | { operation: 'promote'; id: string; source: string }
  | { operation: 'copy'; id: string; source: string; destination: string; recursive: boolean };

/** Known by name; built later. */
const UNAVAILABLE: ReadonlySet<string> = new Set([
  'push',
  'pull',
  'attach',
  'discover',
  'resolve',
  'tag',
  'tags',
  'repos',
  'manifest.fetch',
  'manifest.fetchConfig',
  'manifest.push',
  'manifest.delete',
  'manifest.index.create',
  'manifest.index.update',
  'blob.fetch',
  'blob.push',
  'blob.delete',
  'sbom',
  'sign',
  'verify',
]);

/** Reads what a job names, and says in one line what is wrong with it. */
function reference(check: (reference: Reference) => string | undefined) {
  return z.string({ error: 'missing, or not a text' }).superRefine((text, context) => {
    try {
      const problem = check(parseReference(text));
      if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
    } catch (error) {
      context.addIssue({ code: 'custom', message: describeError(error).message });
    }
  });
}

const id = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/,
    'an id is letters, digits, dots, dashes, colons and underscores, 128 at most',
  )
  .optional();

const schemas = {
  promote: z.strictObject({
    operation: z.literal('promote'),
    id,
    source: reference(({ tag, digest }) =>
      tag === undefined || digest !== undefined ? 'a promotion is of a tag: name a tag, and no digest' : undefined,
    ),
  }),
  copy: z.strictObject({
    operation: z.literal('copy'),
    id,
    source: reference(({ tag, digest }) =>
      tag === undefined && digest === undefined ? 'name a tag or a digest' : undefined,
    ),
    destination: reference(({ digest }) =>
      digest === undefined ? undefined : 'a digest comes from what is copied: name a tag, or none',
    ),
    recursive: z.boolean().default(true),
  }),
};

/**
 * Reads a job.
 * @param from the queue's id of the message that brought it: its id where it has none of its own
 * @throws InputError `JOB_HOLDS_SECRET`, before all else and without the secret; `OPERATION_UNKNOWN`;
 * `OPERATION_UNAVAILABLE`; `JOB_INVALID`, with everything that is wrong in `details.problems`
 */
export function parseJob(value: unknown, from: { messageId: string }): JobInput {
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
  if (operation !== 'promote' && operation !== 'copy') throw operationError(operation);
  const result = schemas[operation].safeParse(value);
  if (!result.success) throw invalidJob(problemsOf(result.error));
  return { ...result.data, id: result.data.id ?? from.messageId };
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

function operationError(operation: string): InputError {
  const name = JSON.stringify(operation.slice(0, 100));
  return UNAVAILABLE.has(operation)
    ? new InputError('OPERATION_UNAVAILABLE', `The operation ${name} cannot be asked for by a job yet`, {
        remedy: 'Use the command line for it, or the operations promote and copy.',
      })
    : new InputError('OPERATION_UNKNOWN', `There is no operation ${name}`, {
        remedy: 'The operations of a job are promote and copy.',
      });
}

function invalidJob(problems: readonly Problem[]): InputError {
  return new InputError('JOB_INVALID', `The job is malformed: ${listProblems(problems)}`, {
    details: { problems: problems.slice(0, LIMITS.problems) },
    remedy: 'Set right what is listed, and send it again.',
  });
}
