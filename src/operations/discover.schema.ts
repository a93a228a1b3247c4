import { z } from 'zod';
import { artifactType, distributionSpec, artifact, platform } from './job-fields.js';
import { operationSchema } from './operation-schema.js';

export const discover = operationSchema(
  'discover',
  { reference: 'read' },
  {
    reference: artifact,
    platform,
    artifactType,
    depth: z.int().min(1).max(16).exactOptional().describe('Levels of referrers. Default: all'),
    format: z.enum(['json', 'tree', 'table']).default('json'),
    distributionSpec,
  },
);
