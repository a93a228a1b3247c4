import { z } from 'zod';
import { tags, artifact, place, platform, excludeArtifactTypes } from './job-fields.js';
import { operationSchema } from './operation-schema.js';

export const copy = operationSchema(
  'copy',
  { source: 'read', destination: 'write' },
  {
    source: artifact,
    destination: place,
    tags: tags.describe(
      'More tags at the destination. If it is present, the destination does not take the source’s tag; an empty list sets no tag',
    ),
    recursive: z.boolean().default(true).describe('With its referrers. Default: true'),
    platform,
    excludeArtifactTypes,
  },
);
