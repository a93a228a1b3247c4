import { Cron } from 'croner';

/** A recorded time further in the future than this came from a wrong clock. Milliseconds. */
const FUTURE_MS = 3 * 60_000;

/**
 * The latest time of the schedule, if no scan has started for it yet.
 * @param schedule six cron fields, UTC
 * @param dueAt the time for which the last scan started, RFC 3339
 * @returns RFC 3339; undefined if no scan is due
 */
export function dueTime(schedule: string, dueAt: string | undefined, now: Date): string | undefined {
  const cron = new Cron(schedule, { paused: true, timezone: 'UTC', domAndDow: true, mode: '6-part' });
  // `previousRuns` finds only times before its reference, but a scan at exactly `now` is due.
  const [latest] = cron.previousRuns(1, new Date(now.getTime() + 1));
  if (latest === undefined) return undefined;
  const before = Date.parse(dueAt ?? '');
  const isDone = before >= latest.getTime() && before <= now.getTime() + FUTURE_MS;
  return isDone ? undefined : latest.toISOString();
}
