import type { AnyContract, Order } from '../rows/steps.js';

/**
 * Runs an order here: each step is called until it is done, and what it throws is thrown.
 * @param perform does one step
 * @param wait nobody waits on the command line: says why not, by an error
 */
export async function driveHere<T>(
  order: Order<T>,
  perform: (step: AnyContract, input: object) => Promise<unknown>,
  wait: (event: string) => never,
): Promise<T> {
  let next = order.next();
  while (next.done !== true) {
    const effect = next.value;
    switch (effect.kind) {
      case 'now':
        next = order.next(Date.now());
        break;
      case 'wait':
        return wait(effect.event);
      case 'call':
        next = order.next(await perform(effect.step, effect.input));
        break;
    }
  }
  return next.value;
}
