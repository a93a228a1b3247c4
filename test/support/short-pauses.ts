import { syncBuiltinESMExports } from 'node:module';
import timers from 'node:timers/promises';
import { afterAll, beforeAll } from '@jest/globals';

const SHORTER = 50;

/**
 * Makes pauses of `node:timers/promises` 50 times shorter in a test file, or in the `describe` that calls it.
 * @returns the pauses that were asked for, in milliseconds
 */
export function shortPauses(): number[] {
  const { setTimeout: pause } = timers;
  const asked: number[] = [];
  const replace = (by: typeof pause): void => {
    timers.setTimeout = by;
    syncBuiltinESMExports();
  };
  const shorter = ((ms = 0, ...rest: unknown[]) => {
    asked.push(ms);
    return pause(ms / SHORTER, ...rest);
  }) as typeof pause;
  beforeAll(() => replace(shorter));
  afterAll(() => replace(pause));
  return asked;
}
