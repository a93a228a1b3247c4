import type { AcceptedJob } from '../rows/run-row.js';
import { InputError } from '../oci/index.js';
import { listProblems, problemsOf } from '../messages/problems.js';
import { storedJobSchema, type JobInput } from './job-schema.js';

/**
 * The job of a run's row. A row is a boundary: another version of the app may have written it.
 * @throws InputError `JOB_INVALID`
 */
export function readAcceptedJob(job: AcceptedJob): JobInput {
  const parsed = storedJobSchema.safeParse(job);
  if (parsed.success) return parsed.data;
  throw new InputError('JOB_INVALID', `This app cannot read the job: ${listProblems(problemsOf(parsed.error))}`, {
    remedy: 'Another version of the app accepted it. Send the job again, under another id.',
  });
}
