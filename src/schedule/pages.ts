import { InputError, mapConcurrently } from '../oci/index.js';
import type { Notes } from '../ports/notes.js';
import type { Page } from '../ports/page.js';

/** Reads a page from a saved position, or from the start if another version of this code saved the position. */
export async function pageFrom<T>(from: string | undefined, list: (from?: string) => Promise<T>): Promise<T> {
  try {
    return await list(from);
  } catch (error) {
    if (!(error instanceof InputError) || from === undefined) throw error;
    return list();
  }
}

/** Pages handled after the first one, if there is time. */
const MORE_PAGES = 20;
/** Items of a page handled in parallel. */
const AT_ONCE = 16;

/**
 * Handles the first page of a list, then further pages in turn: a note keeps the position for the next tick. If there
 * is only one page, no note is written.
 * @param isOver no further page is read once this returns true
 */
export async function workInTurn<T>(
  store: Notes,
  note: string,
  isOver: () => boolean,
  list: (from?: string) => Promise<Page<T>>,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const { items, next: second } = await list();
  await mapConcurrently(items, AT_ONCE, work);
  if (second === undefined) return;
  const kept = await store.getNote(note);
  let from: string | undefined = kept?.value ?? second;
  for (let pages = 0; pages < MORE_PAGES && from !== undefined && !isOver(); pages += 1) {
    const page: Page<T> = await pageFrom(from, list);
    await mapConcurrently(page.items, AT_ONCE, work);
    from = page.next;
  }
  await store.putNote(note, from ?? second, kept?.version);
}
