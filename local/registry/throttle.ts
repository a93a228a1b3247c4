import { Refusal } from './refusal.js';
import type { Quirks } from './quirks.js';

/**
 * Answers 429 as the quirks say.
 * @returns a function to call for each request; it throws Refusal 429 `TOOMANYREQUESTS`
 */
export function createThrottle(quirks: Quirks): () => void {
  const { throttleEveryNth: nth, retryAfterSeconds = 1 } = quirks;
  let requests = 0;
  return () => {
    requests += 1;
    if (nth === undefined || requests % nth !== 0) return;
    throw new Refusal(429, 'TOOMANYREQUESTS', 'too many requests', {
      headers: { 'retry-after': String(retryAfterSeconds) },
    });
  };
}
