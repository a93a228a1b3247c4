import { z } from 'zod';
import { promote } from './promote.schema.js';
import { copy } from './copy.schema.js';
import { discover } from './discover.schema.js';
import { resolve } from './resolve.schema.js';
import { tags } from './tags.schema.js';
import { repos } from './repos.schema.js';
import { manifestFetch } from './manifest-fetch.schema.js';
import { manifestFetchConfig } from './manifest-fetch-config.schema.js';
import { verify } from './verify.schema.js';
import { tag } from './tag.schema.js';
import { push } from './push.schema.js';
import { attach } from './attach.schema.js';
import { pull } from './pull.schema.js';
import { manifestPush } from './manifest-push.schema.js';
import { manifestDelete } from './manifest-delete.schema.js';
import { manifestIndexCreate } from './manifest-index-create.schema.js';
import { manifestIndexUpdate } from './manifest-index-update.schema.js';
import { blobFetch } from './blob-fetch.schema.js';
import { blobPush } from './blob-push.schema.js';
import { blobDelete } from './blob-delete.schema.js';
import { sbom } from './sbom.schema.js';
import { sign } from './sign.schema.js';
import { InputError } from '../oci/index.js';
import { listProblems, problemsOf } from '../messages/problems.js';
import type { AcceptedJob } from '../rows/run-row.js';
import type { Use } from './operation-schema.js';

const operations = [
  promote,
  copy,
  discover,
  resolve,
  tags,
  repos,
  manifestFetch,
  manifestFetchConfig,
  verify,
  tag,
  push,
  attach,
  pull,
  manifestPush,
  manifestDelete,
  manifestIndexCreate,
  manifestIndexUpdate,
  blobFetch,
  blobPush,
  blobDelete,
  sbom,
  sign,
] as const;
const [first, ...rest] = operations;

/** Parses an incoming job. An unknown field is an error. */
export const jobSchema = z.discriminatedUnion('operation', [first.schema, ...rest.map(({ schema }) => schema)]);

/** A parsed job. */
export type JobInput = z.output<typeof jobSchema> & { id: string };
export type JobOperation = JobInput['operation'];
/** A job of one operation. */
export type JobOf<O extends JobOperation> = Extract<JobInput, { operation: O }>;

export const JOB_OPERATIONS: readonly JobOperation[] = operations.map(({ operation }) => operation);

/** The fields of an operation with a reference, and whether the operation reads, writes or deletes there. */
export const SCOPES = new Map<JobOperation, Readonly<Record<string, Use | undefined>>>(
  operations.map(({ operation, scopes }) => [operation, scopes]),
);

/** A job in a run's row. Fields that a later version has added are dropped. */
export const storedJobSchema = z
  .discriminatedUnion('operation', [first.schema.strip(), ...rest.map(({ schema }) => schema.strip())])
  .refine((stored): stored is JobInput => stored.id !== undefined, 'a stored job has an id');

/**
 * Parses the job in a run's row. Another version of the app may have written the row.
 * @throws InputError `JOB_INVALID`
 */
export function readAcceptedJob(job: AcceptedJob): JobInput {
  const parsed = storedJobSchema.safeParse(job);
  if (parsed.success) return parsed.data;
  throw new InputError('JOB_INVALID', `This app cannot read the job: ${listProblems(problemsOf(parsed.error))}`, {
    remedy: 'Another version of the app accepted this job. Send the job again, under another id.',
  });
}

/** The schema of a job as JSON Schema 2020-12, for editors and for people who write jobs. */
export function jobJsonSchema(): Record<string, unknown> {
  const { $schema, ...schema } = z.toJSONSchema(jobSchema, { io: 'input', target: 'draft-2020-12' });
  return {
    $schema,
    title: 'A job of acr-promoter',
    description:
      'One message of the queue “jobs”, or the body of POST /api/jobs. docs/reference/jobs.md has an example of each.',
    ...schema,
  };
}
