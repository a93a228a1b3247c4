import { z } from 'zod';
import { artifactType, tags, place, platform, packing } from './job-fields.js';
import { operationSchema } from './operation-schema.js';

export const push = operationSchema(
  'push',
  { reference: 'write' },
  {
    reference: place,
    tags,
    artifactType,
    artifactPlatform: platform,
    imageSpec: z.enum(['v1.0', 'v1.1']).exactOptional(),
    ...packing,
  },
);
