import type { AnyContract } from '../rows/step-contract.js';
import type { Order } from '../rows/order.js';

/**
 * Runs the order of a promotion in this process: each step is called until it is done. Its errors are thrown.
 * @param perform does one step
 * @param wait throws, because the command line does not wait for a gate
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
