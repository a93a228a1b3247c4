import type { z } from 'zod';
import type { InputOf, ResultOf, StepContract } from '../rows/step-contract.js';

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
