import type { z } from 'zod';
import type { Notes } from '../ports/notes.js';

/**
 * Reads a note as JSON. Its value is undefined if it does not match the schema, for example because another version of
 * this code wrote it.
 */
export async function readNote<T>(
  store: Notes,
  name: string,
  schema: z.ZodType<T>,
): Promise<{ value: T | undefined; version: string } | undefined> {
  const note = await store.getNote(name);
  if (note === undefined) return undefined;
  try {
    return { value: schema.parse(JSON.parse(note.value)), version: note.version };
  } catch {
    return { value: undefined, version: note.version };
  }
}
