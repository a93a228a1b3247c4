import { randomUUID } from 'node:crypto';
import { Cron } from 'croner';
import { z } from 'zod';
import { readMessageText } from '../messages/message-text.js';
import type { Notes } from '../ports/notes.js';
import type { Queues } from '../ports/queues.js';
import type { StorePort } from '../ports/store.js';
import { readNote } from './notes.js';

// One loop over all hosts, kept going by one row and one message: docs/decisions/clock.md.

/** Time from the start of one tick to the start of the next, in milliseconds. */
export const TICK_EVERY_MS = 60_000;
/** If the row was not written for this long, the loop has stopped. Milliseconds. */
const STOPPED_MS = 3 * 60_000;
/** The shortest delay of a message, in seconds. The row must be written before the message arrives, or the message is dropped. */
const LEAST_DELAY_S = 10;
const NOTE = 'clock';

type ClockPorts = StorePort<Notes> & { queues: Queues; now(): Date };

const tickStateSchema = z.object({
  /** The time in PROMOTION_SCHEDULE for which the last scan started. */
  dueAt: z.string().optional(),
  /** Runs started since `dueAt`. */
  started: z.number(),
  /** `due`: scans have yet to start. `begun`: they have started and are not finished. Absent: they are finished. */
  scans: z.enum(['due', 'begun']).optional(),
});
/** The state that one tick passes to the next. */
export type TickState = z.infer<typeof tickStateSchema>;

const clockRowSchema = z.object({
  /** The id of the only message that is accepted. */
  next: z.string(),
  /** When the row was written. */
  at: z.string(),
  /** When the last tick ended. */
  tickedAt: z.string().optional(),
  /** State from another version of this code is discarded, and the loop continues. */
  state: tickStateSchema.catch({ started: 0 }),
});
type ClockRow = z.infer<typeof clockRowSchema>;

const messageSchema = z.object({ id: z.string() });

/**
 * Handles one message of the queue `schedule`: runs the tick, sends the next message, then writes the row. Drops a
 * message whose id is not in the row: it is a duplicate, or its sender died before it wrote the row.
 * @returns true if it ran a tick
 */
export async function handleTickMessage(
  ports: ClockPorts,
  raw: unknown,
  tick: (state: TickState) => Promise<TickState>,
): Promise<boolean> {
  const row = await readNote(ports.store, NOTE, clockRowSchema);
  const message = messageSchema.safeParse(typeof raw === 'string' ? readMessageText(raw)?.value : raw);
  if (row?.value === undefined || message.data?.id !== row.value.next) return false;
  const beganMs = ports.now().getTime();
  const state = await tick(row.value.state);
  const now = ports.now();
  const leftS = Math.ceil((beganMs + TICK_EVERY_MS - now.getTime()) / 1_000);
  // The system clock may have been set during the tick. The loop must not stop because of it.
  const delaySeconds = Math.min(Math.max(leftS, LEAST_DELAY_S), TICK_EVERY_MS / 1_000);
  const at = now.toISOString();
  await sendNext(ports, delaySeconds, row.version, { at, tickedAt: at, state });
  return true;
}

/**
 * Starts the loop. Starts it again if its row was not written for {@link STOPPED_MS}: its message is lost, or its
 * handler hangs.
 * @returns true if it started the loop
 */
export async function reviveClock(ports: ClockPorts): Promise<boolean> {
  const row = await readNote(ports.store, NOTE, clockRowSchema);
  const now = ports.now();
  // Also restarts if a wrong clock wrote a time in the future.
  if (row !== undefined && Math.abs(now.getTime() - Date.parse(row.value?.at ?? '')) < STOPPED_MS) return false;
  const { next: _lost, ...rest } = row?.value ?? { state: { started: 0 } };
  return sendNext(ports, LEAST_DELAY_S, row?.version, { ...rest, at: now.toISOString() });
}

/** When the last tick finished, and how many seconds ago; undefined before the first tick. */
export async function lastTick(
  ports: StorePort<Notes> & { now(): Date },
): Promise<{ at: string; ageSeconds: number } | undefined> {
  const at = (await readNote(ports.store, NOTE, clockRowSchema))?.value?.tickedAt;
  if (at === undefined) return undefined;
  const ageMs = ports.now().getTime() - Date.parse(at);
  return { at, ageSeconds: Math.max(0, Math.round(ageMs / 1_000)) };
}

/**
 * Sends the message before it writes the row. If the host dies in between, the queue redelivers the message that the
 * row names, and the new one is dropped.
 * @returns false if another writer was first; then only that writer's message is accepted
 */
async function sendNext(
  { queues, store }: ClockPorts,
  delaySeconds: number,
  version: string | undefined,
  rest: Omit<ClockRow, 'next'>,
): Promise<boolean> {
  const next = randomUUID();
  await queues.send('schedule', JSON.stringify({ id: next }), { delaySeconds });
  return store.putNote(NOTE, JSON.stringify({ ...rest, next }), version);
}

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
