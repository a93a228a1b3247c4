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

export const digest = z.custom<Digest>((value) => typeof value === 'string' && isDigest(value), 'not a digest');

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

/** Why a step failed permanently. */
export interface Failure {
  code: string;
  message: string;
  remedy?: string | undefined;
  /** True if a policy or a verification refused; false for any other failure. */
  refused: boolean;
}

/** A permanent failure of a step. */
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

/**
 * What an order yields to its driver: functions/durable-driver.ts in the app, cli/local-driver.ts on the command
 * line.
 */
export type Effect =
  | { kind: 'call'; step: AnyContract; input: object; untilMs: number | undefined }
  | { kind: 'wait'; event: string; forMs: number }
  | { kind: 'now' };

/**
 * A sequence of effects. It does no I/O and uses no clock and no randomness, so it can be replayed from its history.
 */
export type Order<T> = Generator<Effect, T, unknown>;

/**
 * Calls a step until it is done.
 * @param untilMs until when transient errors are retried, in epoch milliseconds. Default: the run's deadline
 * @throws StepFailed; `STEP_RESULT_INVALID` if another version returned an unknown result
 */
export function* call<C extends AnyContract>(step: C, input: InputOf<C>, untilMs?: number): Order<ResultOf<C>> {
  const answer = yield { kind: 'call', step, input: input as object, untilMs };
  const parsed = step.result.safeParse(answer);
  if (parsed.success) return parsed.data as ResultOf<C>;
  throw new StepFailed({
    code: 'STEP_RESULT_INVALID',
    message: `this version cannot read the result of the step ${step.name}`,
    remedy: 'No action needed: the next run starts from the beginning with this version.',
    refused: false,
  });
}

/** Waits until an external event of this name arrives for its run, at most `forMs` milliseconds. */
export function* waitFor(event: string, forMs: number): Order<void> {
  yield { kind: 'wait', event, forMs };
}

/** The current time in epoch milliseconds. */
export function* now(): Order<number> {
  return (yield { kind: 'now' }) as number;
}
