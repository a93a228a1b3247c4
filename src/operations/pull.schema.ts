import { concurrency, artifact, platform, flag, outputPrefix } from './job-fields.js';
import { operationSchema } from './operation-schema.js';

export const pull = operationSchema(
  'pull',
  { reference: 'read' },
  {
    reference: artifact,
    platform,
    output: outputPrefix,
    keepOldFiles: flag,
    includeSubject: flag,
    concurrency,
  },
);
