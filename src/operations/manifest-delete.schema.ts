import { distributionSpec, artifact } from './job-fields.js';
import { operationSchema } from './operation-schema.js';

export const manifestDelete = operationSchema(
  'manifest.delete',
  { reference: 'delete' },
  { reference: artifact, distributionSpec },
);
