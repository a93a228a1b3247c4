import { last, registryHost, namespace } from './job-fields.js';
import { operationSchema } from './operation-schema.js';

export const repos = operationSchema('repos', { registry: 'read' }, { registry: registryHost, namespace, last });
