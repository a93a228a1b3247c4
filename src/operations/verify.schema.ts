import { z } from 'zod';
import { distributionSpec, artifact, platform } from './job-fields.js';
import { operationSchema } from './operation-schema.js';

/** The signatures that the job requires, as `verify.signatures` of a rule. */
const signatures = z
  .array(
    z.strictObject({
      format: z.literal('notary'),
      trustStore: z
        .string()
        .max(24 * 1024)
        .regex(/-----BEGIN CERTIFICATE-----/, 'certificates as PEM, in the job itself')
        .describe('PEM certificates'),
      identities: z
        .array(z.string().min(1).max(1000))
        .min(1)
        .max(20)
        .default(['*'])
        .describe('As in a notation trust policy: “x509.subject: C=US, O=Example”, or “*”'),
    }),
  )
  .min(1)
  .max(10);

export const verify = operationSchema(
  'verify',
  { reference: 'read' },
  { reference: artifact, platform, signatures, distributionSpec },
);
