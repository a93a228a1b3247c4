import { z } from 'zod';
import { distributionSpec, artifact, platform } from './job-fields.js';
import { operationSchema } from './operation-schema.js';

export const sbom = operationSchema(
  'sbom',
  { reference: 'write' },
  {
    reference: artifact,
    platform,
    distributionSpec,
    formats: z
      .array(z.enum(['cyclonedx', 'spdx']))
      .min(1)
      .max(2)
      .optional(),
  },
);
