import { Refusal } from './refusal.js';
import type { Quirks } from './quirks.js';

/**
 * Answers 429 as the quirks say.
 * @returns a function to call for each request; it throws Refusal 429 `TOOMANYREQUESTS`
 */
export function createThrottle(quirks: Quirks): () => void {
  const { throttleEveryNth: nth, throttlePerSecond: perSecond, retryAfterSeconds = 1 } = quirks;
  let requests = 0;
  let second = 0;
  let inSecond = 0;
  return () => {
    requests += 1;
    const now = Math.floor(Date.now() / 1000);
    if (now !== second) [second, inSecond] = [now, 0];
    inSecond += 1;
    const tooMany = perSecond !== undefined && inSecond > perSecond;
    if (!tooMany && (nth === undefined || requests % nth !== 0)) return;
    throw new Refusal(429, 'TOOMANYREQUESTS', 'too many requests', {
      headers: { 'retry-after': String(retryAfterSeconds) },
    });
  };
}
