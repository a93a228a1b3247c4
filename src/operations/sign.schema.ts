import { z } from 'zod';
import { distributionSpec, artifact, platform } from './job-fields.js';
import { operationSchema } from './operation-schema.js';

export const sign = operationSchema(
  'sign',
  { reference: 'write' },
  {
    reference: artifact,
    platform,
    recursive: z.boolean().default(false).describe('The manifests of an index too'),
    distributionSpec,
  },
);
