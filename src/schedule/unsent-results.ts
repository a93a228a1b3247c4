import { z } from 'zod';
import { PromoterError } from '../oci/index.js';
import { pageFrom } from './page-from.js';
import { type TellPorts, tellRun } from '../promotions/result-event.js';
import type { Notes } from '../ports/notes.js';
import type { RunLists } from '../ports/run-lists.js';
import type { StorePort } from '../ports/store.js';

/** Runs that one tick of the schedule tells of, and how long after their end, in milliseconds: their own step does it at once. */
export const TOLD_AT_ONCE = 100;
export const TELLING_MS = 60_000;

/** Where the next tick goes on: a page of the runs that are to be told of. */
const NOTE = 'telling';

const noteSchema = z.object({ from: z.string().optional() });

/**
 * Tells of runs that have ended and were not told of: those that were lost, and those whose host died just then. A page of them, and
 * at the next tick the next one: those that can't be told of keep no other from it. For the schedule.
 * @returns their ids, and what kept others from being told
 */
export async function tellForgotten(
  ports: TellPorts & StorePort<RunLists & Notes>,
): Promise<{ told: string[]; problems: string[] }> {
  const note = await ports.store.getNote(NOTE);
  const { from }: z.infer<typeof noteSchema> = note === undefined ? {} : noteSchema.parse(JSON.parse(note.value));
  const { items, next } = await pageFrom(from, (at) =>
    ports.store.listRuns({
      size: TOLD_AT_ONCE,
      filter: { untold: true },
      ...(at !== undefined && { from: at }),
    }),
  );
  if (next !== from) await ports.store.putNote(NOTE, JSON.stringify({ from: next }), note?.version);
  const told: string[] = [];
  const problems: string[] = [];
  for (const { id, finishedAt } of items) {
    // Whoever has just ended it is about to tell.
    if (ports.now().getTime() - Date.parse(finishedAt ?? '') < TELLING_MS) continue;
    try {
      if (await tellRun(ports, id)) told.push(id);
    } catch (error) {
      if (!(error instanceof PromoterError)) throw error;
      problems.push(`runId=${id}: ${error.code}: ${error.message}`);
    }
  }
  return { told, problems };
}
