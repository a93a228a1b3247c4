import { blob, outputPrefix } from './job-fields.js';
import { operationSchema } from './operation-schema.js';

export const blobFetch = operationSchema(
  'blob.fetch',
  { reference: 'read' },
  { reference: blob, output: outputPrefix },
);
