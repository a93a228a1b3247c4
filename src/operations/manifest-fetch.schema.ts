import { artifact, platform, flag, mediaTypes } from './job-fields.js';
import { operationSchema } from './operation-schema.js';

export const manifestFetch = operationSchema(
  'manifest.fetch',
  { reference: 'read' },
  { reference: artifact, platform, mediaTypes, descriptor: flag },
);
