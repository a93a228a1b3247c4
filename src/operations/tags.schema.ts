import { repository, last, flag } from './job-fields.js';
import { operationSchema } from './operation-schema.js';

export const tags = operationSchema(
  'tags',
  { reference: 'read' },
  { reference: repository, last, excludeDigestTags: flag },
);
