import { concurrency, tags, distributionSpec, place, mediaType, oneFile } from './job-fields.js';
import { operationSchema } from './operation-schema.js';

export const manifestPush = operationSchema(
  'manifest.push',
  { reference: 'write' },
  { reference: place, tags, mediaType, file: oneFile, concurrency, distributionSpec },
);
