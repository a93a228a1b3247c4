import { z } from 'zod';
import type { Notes } from '../ports/notes.js';
import type { StorePort } from '../ports/store.js';
import { unansweredText, type Unanswered, type UnansweredTries } from './unanswered.js';

/**
 * How long after the time of the next try a registry is still reported as not answering, in milliseconds. That try
 * takes time, too.
 */
const NEXT_TRY_MS = 2 * 60_000;

const noteSchema = z.object({
  role: z.enum(['source', 'destination']).optional(),
  what: z.string(),
  since: z.string(),
  tries: z.number(),
  nextAt: z.string(),
});
type Note = z.infer<typeof noteSchema>;

type NotePorts = StorePort<Notes> & { now(): Date };

function nameOf(host: string): string {
  return `unanswered ${host}`;
}

/**
 * Records for `GET status` that a registry did not answer a run: since the first such try, until the next try must have
 * ended.
 */
export async function noteUnanswered(
  ports: NotePorts,
  { host, role, what }: Unanswered,
  { since, tries, nextAt }: UnansweredTries,
): Promise<void> {
  const note = await ports.store.getNote(nameOf(host));
  const before = note && fresh(note.value, ports.now());
  const now: Note = {
    role: before === undefined || before.role === role ? role : undefined,
    what,
    since: before !== undefined && before.since < since ? before.since : since,
    tries: Math.max(tries, before?.tries ?? 0),
    // Keep the earliest next try of all runs.
    nextAt: before !== undefined && before.nextAt < nextAt && !isPast(before, ports.now()) ? before.nextAt : nextAt,
  };
  // Another run may have written the same first.
  await ports.store.putNote(nameOf(host), JSON.stringify(now), note?.version);
}

/** One line for each of these registries that did not answer the last try of a run. */
export async function unansweredRegistries(ports: NotePorts, hosts: readonly string[]): Promise<string[]> {
  const lines = await Promise.all(
    hosts.map(async (host) => {
      const note = await ports.store.getNote(nameOf(host));
      const found = note && fresh(note.value, ports.now());
      return found === undefined ? [] : [unansweredText({ ...found, host }, found)];
    }),
  );
  return lines.flat();
}

function fresh(text: string, now: Date): Note | undefined {
  const note = noteSchema.parse(JSON.parse(text));
  return now.getTime() < Date.parse(note.nextAt) + NEXT_TRY_MS ? note : undefined;
}

function isPast({ nextAt }: Note, now: Date): boolean {
  return Date.parse(nextAt) <= now.getTime();
}
