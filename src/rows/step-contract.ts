import { z } from 'zod';
import { isDigest, type Descriptor, type Digest } from '../oci/index.js';
import { OUTCOMES } from './run-row.js';

/** Name, input and result of each step: all that orchestrations know of it. History is a boundary, so both are parsed. */
export interface StepContract<I extends z.ZodType, R extends z.ZodType> {
  /** The activity's name. */
  name: string;
  input: I;
  result: R;
  /** It may work for minutes: a process does only some such steps at once. */
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

/** A step that goes on from its checkpoints: it answers `{retryAfterMs: 0}` after some minutes, and is called again. */
export const long = <I extends z.ZodType, R extends z.ZodType>(name: string, input: I, result: R): StepContract<I, R> =>
  contract(name, input, result, true);

export const digest = z.custom<Digest>((value) => typeof value === 'string' && isDigest(value), 'not a digest');

export const descriptor = z.object({
  mediaType: z.string(),
  digest,
  size: z.number().int().nonnegative(),
}) satisfies z.ZodType<Pick<Descriptor, 'mediaType' | 'digest' | 'size'>>;

export const tagName = z.object({ registry: z.string(), repository: z.string(), tag: z.string() });

/** Which run asks: a write by a run that isn't the row's is refused. */
export const owned = z.object({ promotionId: z.string(), runId: z.string() });

export const resultSchema = z.object({
  outcome: z.enum(OUTCOMES),
  code: z.string().optional(),
  reason: z.string().optional(),
  remedy: z.string().optional(),
  evidence: z.string().optional(),
  digest: z.string().optional(),
});

/** Of the referrers that triggers have named: which ones a run found. */
export const lookedSchema = z.object({ seen: z.array(z.string()), unseen: z.array(z.string()) });

export type ResultOf<C> = C extends StepContract<z.ZodType, infer R> ? z.infer<R> : never;

export type InputOf<C> = C extends StepContract<infer I, z.ZodType> ? z.infer<I> : never;
