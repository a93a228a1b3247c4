import { z } from 'zod';
import { jobSchema } from './job-schema.js';

/** What a job may look like, as JSON Schema 2020-12: for editors, and for those who write jobs. */
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
