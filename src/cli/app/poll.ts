import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { PromoterError } from '../../oci/index.js';
import type { Io } from '../io.js';
import { parseCount } from '../option-values.js';
import { writtenOf, type Values } from '../verb.js';

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 5_000;

export function addWaitOptions(command: Command): void {
  command.option('--timeout <seconds>', 'maximum wait in seconds (default 0: no limit)');
}

/**
 * The value of `--timeout` in seconds; 0 means no limit.
 * @throws InputError `OPTION_INVALID`
 */
export function timeoutOf(values: Values): number {
  return parseCount(writtenOf(values, 'timeout') ?? '0', '--timeout', 0);
}

/**
 * Repeats a request until it has a result, with pauses that grow from half a second to five seconds.
 * @param what the awaited result, for the error message
 * @throws PromoterError `WAIT_TIMEOUT`
 */
export async function pollUntil<T>(
  ask: () => Promise<T | undefined>,
  { io, timeoutSeconds, what }: { io: Io; timeoutSeconds: number; what: string },
): Promise<T> {
  const started = Date.now();
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 1.5, LONGEST_PAUSE_MS)) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (timeoutSeconds > 0 && Date.now() - started > timeoutSeconds * 1000) {
      throw new PromoterError('WAIT_TIMEOUT', `${what} has not ended within ${timeoutSeconds} seconds`, {
        remedy: 'The app continues the work. Wait again, or raise --timeout.',
      });
    }
    await sleep(pauseMs, undefined, { signal: io.signal });
  }
}
