import { blob } from './job-fields.js';
import { operationSchema } from './operation-schema.js';

export const blobDelete = operationSchema('blob.delete', { reference: 'delete' }, { reference: blob });
