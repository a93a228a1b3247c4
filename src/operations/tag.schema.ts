import { concurrency, artifact, someTags } from './job-fields.js';
import { operationSchema } from './operation-schema.js';

export const tag = operationSchema('tag', { reference: 'write' }, { reference: artifact, tags: someTags, concurrency });
