import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { readMessageText } from '../messages/message-text.js';
import type { Notes } from '../ports/notes.js';
import type { Queues } from '../ports/queues.js';
import type { StorePort } from '../ports/store.js';
import type { Versioned } from '../ports/versioned.js';

// One loop over all hosts, held by one row and one message: docs/decisions/clock.md.

/** From the begin of one tick to the next, in milliseconds. */
export const TICK_EVERY_MS = 60_000;
/** A row that was not written for so long belongs to a loop that has stopped, in milliseconds. */
const STOPPED_MS = 3 * 60_000;
/** The shortest delay of a message, in seconds. The row must be written before the message arrives, or the message is dropped. */
const LEAST_DELAY_S = 10;
const NOTE = 'clock';

type ClockPorts = StorePort<Notes> & { queues: Queues; now(): Date };

const tickStateSchema = z.object({
  /** The time of PROMOTION_SCHEDULE for which the last scan began. */
  dueAt: z.string().exactOptional(),
  /** Runs that were started since then. */
  started: z.number(),
  /** Scans are due, and were begun or not; absent if they have ended. */
  scans: z.enum(['due', 'begun']).exactOptional(),
});
/** What one tick hands to the next. */
export type TickState = z.infer<typeof tickStateSchema>;

const clockRowSchema = z.object({
  /** The id of the one message that counts. */
  next: z.string(),
  /** When the row was written. */
  at: z.string(),
  /** When the last tick ended. */
  tickedAt: z.string().exactOptional(),
  /** Of another version of this code: from the start, and the loop goes on. */
  state: tickStateSchema.catch({ started: 0 }),
});
type ClockRow = z.infer<typeof clockRowSchema>;

const messageSchema = z.object({ id: z.string() });

/**
 * Handles one message of the queue `schedule`: the tick that it stands for, then the next message, then the row. A message that the
 * row does not name is dropped: it is a duplicate, or its sender died before it wrote the row.
 * @returns if it ticked
 */
export async function handleTickMessage(
  ports: ClockPorts,
  raw: unknown,
  tick: (state: TickState) => Promise<TickState>,
): Promise<boolean> {
  const row = await readClock(ports);
  const message = messageSchema.safeParse(typeof raw === 'string' ? readMessageText(raw)?.value : raw);
  if (row?.value === undefined || message.data?.id !== row.value.next) return false;
  const beganMs = ports.now().getTime();
  const state = await tick(row.value.state);
  const now = ports.now();
  const leftS = Math.ceil((beganMs + TICK_EVERY_MS - now.getTime()) / 1_000);
  // A clock that was set meanwhile must not stop the loop.
  const delaySeconds = Math.min(Math.max(leftS, LEAST_DELAY_S), TICK_EVERY_MS / 1_000);
  const at = now.toISOString();
  await sendNext(ports, delaySeconds, row.version, { at, tickedAt: at, state });
  return true;
}

/**
 * Starts the loop, or starts it again if its row was not written for {@link STOPPED_MS}: then its message is lost, or whoever
 * handles it hangs.
 * @returns if it did
 */
export async function reviveClock(ports: ClockPorts): Promise<boolean> {
  const row = await readClock(ports);
  const now = ports.now();
  // Also if a clock that was wrong wrote it.
  if (row !== undefined && Math.abs(now.getTime() - Date.parse(row.value?.at ?? '')) < STOPPED_MS) return false;
  const { next: _lost, ...rest } = row?.value ?? { state: { started: 0 } };
  return sendNext(ports, LEAST_DELAY_S, row?.version, { ...rest, at: now.toISOString() });
}

/** When the last tick ended, and how long ago; undefined before the first one. */
export async function lastTick(
  ports: StorePort<Notes> & { now(): Date },
): Promise<{ at: string; ageSeconds: number } | undefined> {
  const at = (await readClock(ports))?.value?.tickedAt;
  if (at === undefined) return undefined;
  const ageMs = ports.now().getTime() - Date.parse(at);
  return { at, ageSeconds: Math.max(0, Math.round(ageMs / 1_000)) };
}

/**
 * The message first, then the row: if the host dies in between, the message that the row names comes again, and this one is dropped.
 * @returns false if another writer was first: then its message counts
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

/** A row that cannot be read has no value: the loop starts anew. */
async function readClock({
  store,
}: StorePort<Notes>): Promise<{ value: ClockRow | undefined; version: string } | undefined> {
  const note: Versioned<string> | undefined = await store.getNote(NOTE);
  if (note === undefined) return undefined;
  return { value: parseRow(note.value), version: note.version };
}

function parseRow(text: string): ClockRow | undefined {
  try {
    return clockRowSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
