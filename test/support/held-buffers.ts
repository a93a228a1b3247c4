import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Starts a measurement of the bytes that this thread's buffers hold. The returned function says how many more are held than at the
 * start, after a garbage collection: without one, garbage that a busy machine has not collected yet would be counted as well.
 * A collection takes tens of milliseconds, so call it for every few buffers only.
 */
export function heldBuffers(): () => number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const held = (): number => {
    collect();
    return process.memoryUsage().arrayBuffers;
  };
  const before = held();
  return () => held() - before;
}
