import { z } from 'zod';
import { blobPlace, oneFile } from './job-fields.js';
import { operationSchema } from './operation-schema.js';

export const blobPush = operationSchema(
  'blob.push',
  { reference: 'write' },
  {
    reference: blobPlace,
    size: z.int().min(0).exactOptional().describe('Bytes that the blob must have'),
    file: oneFile,
  },
);
