import { app, type HttpResponseInit } from '@azure/functions';
import type { StatusProblem } from './status.js';

/** Minimum time between two reads of the last tick, in milliseconds: anybody may send any number of requests. */
const READ_EVERY_MS = 10_000;
/** Maximum time of a read, in milliseconds. After that, the answer has no age. */
const READ_MS = 2_000;

/** When the last tick of the schedule ended, RFC 3339; undefined before the first one. */
export type TickedAt = () => Promise<string | undefined>;

/**
 * `GET health`: whether the app has loaded, and the age of the schedule's last tick. It needs no key, so a problem is
 * reported only with its code and the names of settings.
 * @param problems why the app does not work; empty if it works
 */
export function registerHealth(problems: readonly StatusProblem[], tickedAt: TickedAt = async () => undefined): void {
  const read = oncePer(READ_EVERY_MS, tickedAt);
  app.http('health', {
    methods: ['GET'],
    authLevel: 'anonymous',
    route: 'health',
    handler: async (): Promise<HttpResponseInit> =>
      problems.length === 0 ? { jsonBody: { status: 'ok', ...(await ageOf(read)) } } : unavailable(problems),
  });
}

/** The age is left out if it cannot be read; `GET status` has the reason. */
async function ageOf(read: TickedAt): Promise<{ tickAgeSeconds?: number }> {
  const late = new Promise<undefined>((resolve) => void setTimeout(resolve, READ_MS, undefined).unref());
  const at = await Promise.race([read().catch(() => undefined), late]);
  if (at === undefined) return {};
  return { tickAgeSeconds: Math.max(0, Math.round((Date.now() - Date.parse(at)) / 1_000)) };
}

/** Shares one read among all calls within `ms` milliseconds. */
function oncePer(ms: number, read: TickedAt): TickedAt {
  let last: { atMs: number; answer: ReturnType<TickedAt> } | undefined;
  return () => {
    if (last === undefined || Date.now() - last.atMs >= ms) last = { atMs: Date.now(), answer: read() };
    return last.answer;
  };
}

function unavailable(problems: readonly StatusProblem[]): HttpResponseInit {
  const codes = [...new Set(problems.map(({ code }) => code))];
  const settings = [...new Set(problems.flatMap(({ setting }) => setting ?? []))];
  const code = codes.length === 1 ? codes[0] : 'SETTINGS_INVALID';
  return { status: 503, jsonBody: { status: 'unavailable', code, settings } };
}
