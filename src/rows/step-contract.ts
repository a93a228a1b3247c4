import { z } from 'zod';
import { isDigest, type Descriptor, type Digest } from '../oci/index.js';

/**
 * The name, input and result of a step. Orchestrations know no more about it. Both input and result are stored in the
 * history, so they are parsed.
 */
export interface StepContract<I extends z.ZodType, R extends z.ZodType> {
  /** The activity's name. */
  name: string;
  input: I;
  result: R;
  /** The step may work for minutes. A process runs only a few such steps at once. */
  isLong: boolean;
}

export function contract<I extends z.ZodType, R extends z.ZodType>(
  name: string,
  input: I,
  result: R,
  isLong = false,
): StepContract<I, R> {
  return { name, input, result, isLong };
}

/**
 * A step that continues from its checkpoints: it returns `{retryAfterMs: 0}` after some minutes and is called again.
 */
export const long = <I extends z.ZodType, R extends z.ZodType>(name: string, input: I, result: R): StepContract<I, R> =>
  contract(name, input, result, true);

export const digest = z.custom<Digest>(isDigest, 'not a digest');

export const descriptor = z.object({
  mediaType: z.string(),
  digest,
  size: z.number().int().nonnegative(),
}) satisfies z.ZodType<Pick<Descriptor, 'mediaType' | 'digest' | 'size'>>;

/** The run that asks. A write by a run that does not own the row is refused. */
export const owned = z.object({ promotionId: z.string(), runId: z.string() });

/** Which of the reported referrers a run found. */
export const lookedSchema = z.object({ seen: z.array(z.string()), unseen: z.array(z.string()) });

export type ResultOf<C> = C extends StepContract<z.ZodType, infer R> ? z.infer<R> : never;

export type InputOf<C> = C extends StepContract<infer I, z.ZodType> ? z.infer<I> : never;

export type AnyContract = StepContract<z.ZodType, z.ZodType>;
