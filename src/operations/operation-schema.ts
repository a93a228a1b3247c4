import { z } from 'zod';
import { credential, id } from './job-fields.js';

/** How an operation uses the repository in one of its fields. */
export type Use = 'read' | 'write' | 'delete';

/**
 * The schema of one operation. Its fields are named after the flags of `oras`, in camel case.
 * @param scopes the fields with a reference, and how the operation uses it. The policy of jobs checks these.
 */
export function operationSchema<const O extends string, S extends z.ZodRawShape>(
  operation: O,
  scopes: { readonly [Field in keyof S & string]?: Use },
  shape: S,
) {
  const scopesByField: Readonly<Record<string, Use | undefined>> = scopes;
  return {
    operation,
    scopes: scopesByField,
    schema: z.strictObject({ operation: z.literal(operation), id, ...shape, credential }),
    fields: z.strictObject(shape),
  };
}

/** The input of an operation, without the fields that only jobs have. */
export type InputOf<T extends { fields: z.ZodType }> = z.output<T['fields']>;
