import { z } from 'zod';
import { credential, id } from './job-fields.js';

/** What an operation does at a place that one of its fields names: `write` puts something there, `delete` takes something away. */
export type Use = 'read' | 'write' | 'delete';

/**
 * The schema of one operation. Its fields are named after the flags of `oras`, in camel case.
 * @param scopes the fields that name a place, with what the operation does there: the policy of jobs goes by them
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

/** What an operation is asked for, without what only a job has. */
export type InputOf<T extends { fields: z.ZodType }> = z.output<T['fields']>;
