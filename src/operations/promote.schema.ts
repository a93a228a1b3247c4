import { promotable } from './job-fields.js';
import { operationSchema } from './operation-schema.js';

export const promote = operationSchema('promote', { source: 'read' }, { source: promotable });
