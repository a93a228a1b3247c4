// Waits for conditions that become true later: a new role takes up to ten minutes to take effect, and azd builds while it provisions.
import { setTimeout as sleep } from 'node:timers/promises';
import { HookError } from './run.mjs';

const FIRST_PAUSE_MS = 2_000;
const LONGEST_PAUSE_MS = 15_000;
/** Interval of the lines that say that it still waits, in milliseconds. */
const PROGRESS_MS = 30_000;

/**
 * Repeats an attempt until it succeeds.
 * @param {string} what the attempt's name, for people
 * @param {() => Promise<{notYet?: string, done?: unknown}>} attempt answers `notYet` with the reason; throws if anything else is wrong
 * @param {{until: string, waitMs: number, say: (line: string) => void, remedy: string, pause?: (ms: number) => Promise<unknown>, now?: () => number}} options
 * @returns what `attempt` answered as `done`
 * @throws {HookError} after `waitMs`
 */
export async function waitUntil(what, attempt, { until, waitMs, say, remedy, pause = sleep, now = Date.now }) {
  const started = now();
  let pauseMs = FIRST_PAUSE_MS;
  let saidAt = started;
  for (let tries = 1; ; tries += 1) {
    const { notYet, done } = await attempt();
    if (notYet === undefined) {
      if (tries > 1) say(`${what}: ${until} after ${seconds(now() - started)}.`);
      return done;
    }
    const leftMs = waitMs - (now() - started);
    if (leftMs <= 0) throw new HookError(`${what}: gave up after ${seconds(waitMs)}: ${notYet}\n${remedy}`);
    if (tries === 1) say(`${what}: waiting until ${until}, up to ${seconds(waitMs)} …`);
    else if (now() - saidAt >= PROGRESS_MS) {
      saidAt = now();
      say(`${what}: still waiting, after ${seconds(now() - started)} …`);
    }
    await pause(Math.min(pauseMs, leftMs));
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
  }
}

function seconds(ms) {
  const whole = Math.round(ms / 1000);
  return whole >= 120 ? `${Math.round(whole / 60)} minutes` : `${whole} s`;
}
