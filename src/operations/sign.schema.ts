import { z } from 'zod';
import { distributionSpec, artifact, platform } from './job-fields.js';
import { operationSchema } from './operation-schema.js';

export const sign = operationSchema(
  'sign',
  { reference: 'write' },
  {
    reference: artifact,
    platform,
    recursive: z.boolean().default(false).describe('Also sign the manifests of an index'),
    distributionSpec,
  },
);
