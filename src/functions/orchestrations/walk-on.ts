import type { OrchestrationContext, Task } from 'durable-functions';
import { z } from 'zod';
import { observeContract } from '../../promotions/contracts.js';
import { planCopyContract, verifyArrivalContract } from '../../transfer/contracts.js';
import type { InputOf, ResultOf } from '../../rows/step-contract.js';
import { StepFailed, step, type StepContext } from './step.js';
import { answered, callSub, subInput, type SubAnswer } from './sub-orchestration.js';

/** Calls in one sub-orchestration: replaying is quadratic in them. */
const MOST_CALLS = 50;
/** Sub-orchestrations of one step: the widest graph takes two, at ACR's smallest limits five. */
const MOST_SUBS = 20;

/** The steps that ask for all of a graph, and take several calls where it is large. */
type Walk = typeof observeContract | typeof planCopyContract | typeof verifyArrivalContract;

/** What comes of a step when it has come to its end. */
type EndOf<C extends Walk> = Exclude<ResultOf<C>, { state: 'more' }>;

const inputSchema = subInput.extend({
  step: z.enum(['observe', 'planCopy', 'verifyArrival']),
  input: z.record(z.string(), z.unknown()),
});

function isMore<R extends object>(result: R): result is R & { state: 'more'; cursor: object } {
  return 'state' in result && result.state === 'more';
}

/**
 * Does a step to its end: by one call as a rule. What takes more goes on in sub-orchestrations of a bounded number of calls, so that
 * history stays small.
 * @param onward the input of the calls after the first, which may say less
 * @throws StepFailed
 */
export function* walk<C extends Walk>(
  context: StepContext,
  contract: C,
  input: InputOf<C> & { runId: string },
  onward: InputOf<C> = input,
): Generator<Task, EndOf<C>, unknown> {
  let result: ResultOf<C> = yield* step(context, contract, input);
  for (let sub = 0; isMore(result); sub += 1) {
    if (sub >= MOST_SUBS) {
      throw new StepFailed({
        code: 'WALK_TOO_LONG',
        message: `${contract.name} has not come to its end in ${sub * MOST_CALLS} calls`,
        remedy: 'Ask again. Look how fast the two registries are, and whether the graph goes on growing.',
        refused: false,
      });
    }
    const given = { step: contract.name, input: { ...onward, cursor: result.cursor } };
    const instanceId = `${input.runId}-${contract.name}-${sub}`;
    result = (yield* callSub(context, 'walkOn', contract.result, given, instanceId)) as ResultOf<C>;
  }
  return result as EndOf<C>;
}

/** Some more calls of a step that is not at its end. */
export function* walkOn(context: OrchestrationContext): Generator<Task, SubAnswer<ResultOf<Walk>>, unknown> {
  const input = inputSchema.parse(context.df.getInput());
  return yield* answered(context, input, function* (waiting): Generator<Task, ResultOf<Walk>, unknown> {
    switch (input.step) {
      case 'observe':
        return yield* goOn(waiting, observeContract, observeContract.input.parse(input.input));
      case 'planCopy':
        return yield* goOn(waiting, planCopyContract, planCopyContract.input.parse(input.input));
      case 'verifyArrival':
        return yield* goOn(waiting, verifyArrivalContract, verifyArrivalContract.input.parse(input.input));
    }
  });
}

function* goOn<C extends Walk>(
  context: StepContext,
  contract: C,
  input: InputOf<C>,
): Generator<Task, ResultOf<C>, unknown> {
  let result: ResultOf<C> = yield* step(context, contract, input);
  for (let calls = 1; isMore(result) && calls < MOST_CALLS; calls += 1) {
    result = yield* step(context, contract, { ...input, cursor: result.cursor });
  }
  return result;
}
