import { artifact, platform } from './job-fields.js';
import { operationSchema } from './operation-schema.js';

export const resolve = operationSchema('resolve', { reference: 'read' }, { reference: artifact, platform });
