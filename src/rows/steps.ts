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

/** Why a step failed for good. */
export interface Failure {
  code: string;
  message: string;
  remedy?: string | undefined;
  /** A policy or a verification said no; otherwise something broke. */
  refused: boolean;
}

/** A step failed for good. */
export class StepFailed extends Error {
  readonly code: string;
  readonly remedy: string | undefined;
  readonly refused: boolean;

  constructor({ code, message, remedy, refused }: Failure) {
    super(message);
    this.code = code;
    this.remedy = remedy;
    this.refused = refused;
  }
}

export type AnyContract = StepContract<z.ZodType, z.ZodType>;

/** What an order asks of its driver: functions/durable-driver.ts in the app, cli/local-driver.ts on the command line. */
export type Effect =
  | { kind: 'call'; step: AnyContract; input: object; untilMs: number | undefined }
  | { kind: 'wait'; event: string; forMs: number }
  | { kind: 'now' };

/** A sequence of effects. Nothing in it does I/O, reads a clock or uses randomness, so it can be played again from its history. */
export type Order<T> = Generator<Effect, T, unknown>;

/**
 * Calls a step until it is done.
 * @param untilMs until when trouble is waited for, in milliseconds since 1970; the run's deadline by default
 * @throws StepFailed; `STEP_RESULT_INVALID` where another version answered
 */
export function* call<C extends AnyContract>(step: C, input: InputOf<C>, untilMs?: number): Order<ResultOf<C>> {
  const answer = yield { kind: 'call', step, input: input as object, untilMs };
  const parsed = step.result.safeParse(answer);
  if (parsed.success) return parsed.data as ResultOf<C>;
  throw new StepFailed({
    code: 'STEP_RESULT_INVALID',
    message: `what ${step.name} answered is not known to this version`,
    remedy: 'Nothing: the next run begins anew, and all of it with this version.',
    refused: false,
  });
}

/** Waits for an event that has this name in its run, or until the time is over. */
export function* waitFor(event: string, forMs: number): Order<void> {
  yield { kind: 'wait', event, forMs };
}

/** The time, in milliseconds since 1970. */
export function* now(): Order<number> {
  return (yield { kind: 'now' }) as number;
}
