import type { AnyContract, InputOf, ResultOf } from './step-contract.js';

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
  throw unreadableResult(step);
}

/** Another version of this code answered the step. */
export function unreadableResult({ name }: Pick<AnyContract, 'name'>): StepFailed {
  return new StepFailed({
    code: 'STEP_RESULT_INVALID',
    message: `this version cannot read the result of the step ${name}`,
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
