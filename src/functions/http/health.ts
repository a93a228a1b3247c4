import { app, type HttpResponseInit } from '@azure/functions';
import type { StatusProblem } from './status.js';

/** How often the age of the last tick is read, in milliseconds: anyone may ask as often as he likes. */
const READ_EVERY_MS = 10_000;
/** How long it may take to read, in milliseconds; then the answer comes without it. */
const READ_MS = 2_000;

/** When the last tick of the schedule ended, RFC 3339; undefined before the first one. */
export type TickedAt = () => Promise<string | undefined>;

/**
 * `GET health`: whether the app has loaded, and the age of the schedule's last tick. Open to anyone: of what is wrong it says a code and
 * the names of the settings.
 * @param problems what keeps the app from working; empty: nothing does
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

/** Without an age, if it cannot be read: `status` says why. */
async function ageOf(read: TickedAt): Promise<{ tickAgeSeconds?: number }> {
  const late = new Promise<undefined>((resolve) => void setTimeout(resolve, READ_MS, undefined).unref());
  const at = await Promise.race([read().catch(() => undefined), late]);
  if (at === undefined) return {};
  return { tickAgeSeconds: Math.max(0, Math.round((Date.now() - Date.parse(at)) / 1_000)) };
}

/** Reads at most once in so many milliseconds. */
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
