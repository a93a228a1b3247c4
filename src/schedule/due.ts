import { Cron } from 'croner';

/** A time further in the future than this was written by a clock that was wrong, in milliseconds. */
const FUTURE_MS = 3 * 60_000;

/**
 * The newest time that a schedule names, if a scan is due for it.
 * @param schedule six fields, UTC @param dueAt the time for which the last scan began, RFC 3339
 * @returns RFC 3339; undefined: nothing is due
 */
export function dueTime(schedule: string, dueAt: string | undefined, now: Date): string | undefined {
  const cron = new Cron(schedule, { paused: true, timezone: 'UTC', domAndDow: true, mode: '6-part' });
  // Only times before the reference are found, and `now` itself is due.
  const [latest] = cron.previousRuns(1, new Date(now.getTime() + 1));
  if (latest === undefined) return undefined;
  const before = Date.parse(dueAt ?? '');
  const isDone = before >= latest.getTime() && before <= now.getTime() + FUTURE_MS;
  return isDone ? undefined : latest.toISOString();
}
