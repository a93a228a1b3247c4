import { distributionSpec, artifact, platform } from './job-fields.js';
import { operationSchema } from './operation-schema.js';

export const sbom = operationSchema(
  'sbom',
  { reference: 'write' },
  { reference: artifact, platform, distributionSpec },
);
