import { distributionSpec, artifact, platform, requiredArtifactType, packing } from './job-fields.js';
import { operationSchema } from './operation-schema.js';

export const attach = operationSchema(
  'attach',
  { reference: 'write' },
  {
    reference: artifact,
    platform,
    artifactType: requiredArtifactType,
    ...packing,
    distributionSpec,
  },
);
