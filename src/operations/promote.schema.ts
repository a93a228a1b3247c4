import { z } from 'zod';
import { promotable } from './job-fields.js';
import { operationSchema } from './operation-schema.js';

const reason = z.string().min(1).max(500).exactOptional().describe('Why you ask. The run of each promotion keeps it');

export const promote = operationSchema('promote', { source: 'read' }, { source: promotable, reason });
