import { artifact, platform, flag } from './job-fields.js';
import { operationSchema } from './operation-schema.js';

export const manifestFetchConfig = operationSchema(
  'manifest.fetchConfig',
  { reference: 'read' },
  { reference: artifact, platform, descriptor: flag },
);
